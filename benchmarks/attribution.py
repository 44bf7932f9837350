"""EAP-IG and circuits: this study's formulation against a plain one on TransformerLens' hooks, and against its floor.

Every way runs in a process of its own, on the same random model, tokens and vector, and reports seconds (least of
several runs) and the growth of its peak memory over the loaded model. Linux only: the peak is reset through /proc.

plain   split q/k/v inputs, per-head results, whole passes, a contraction at every step, weights as the library leaves
        them: with gradients
hooked  the same on HookedTransformer of TransformerLens 3.9, on which EAP-IG's reference code runs (hooked.py)
floor   forward and backward passes of the steered blocks for the same steps, nothing else
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rows import measured

N_BLOCKS = 8
N_STEPS, N_ROWS, N_PROMPT, N_RESPONSE = 5, 8, 64, 64
SHAPE = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "hidden_size": 256,
    "head_dim": 32,
    "intermediate_size": 1024,
}
N_CIRCUITS = 12
TOLERANCE = 1e-4  # of the largest score, between the two formulations


def benchmark_attribution(tokenizer: str, *, repeats: int, hooked: Path) -> list[dict]:
    """Rows of attribution against the plain formulations and the floor, its growth, and of circuits.

    `hooked` is the folder that holds TransformerLens 3.9.
    """
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            way: _measure(tokenizer, way, repeats, Path(folder))
            for way in ("ours", "plain", "floor", "circuits")
        }
        ways["hooked"] = _measure_hooked(Path(folder) / f"{N_BLOCKS}", N_BLOCKS // 2, repeats, hooked)
        larger = {
            "blocks 8 -> 16": _measure(tokenizer, "ours", repeats, Path(folder), blocks=16),
            "tokens 128 -> 256": _measure(tokenizer, "ours", repeats, Path(folder), stretch=2),
        }
    ours, floor = ways["ours"], ways["floor"]
    setting = f"{N_BLOCKS} blocks steered at {N_BLOCKS // 2}, {N_ROWS} x {N_PROMPT + N_RESPONSE} tokens, {N_STEPS} steps, width 256"
    rows = []
    for way in ("plain", "hooked"):
        other = ways[way]
        gap = largest_gap(ours["scores"], other["scores"])
        if gap > TOLERANCE:
            raise SystemExit(
                f"attribution and {way} differ by {gap:.1e} of the largest score, expected {TOLERANCE:.0e}"
            )
        rows += [
            measured(f"attribution / {way}: time", ours["seconds"], "s", setting, other=other["seconds"]),
            measured(
                f"attribution / {way}: memory", ours["megabytes"], "MB", setting, other=other["megabytes"]
            ),
        ]
    rows += [
        measured("attribution / floor: time", ours["seconds"], "s", setting, other=floor["seconds"]),
        measured(
            "circuit / forward: time",
            ways["circuits"]["seconds"],
            "s",
            f"{setting}; mean of {N_CIRCUITS} circuits, base pass included; a whole forward pass",
            other=ways["circuits"]["forward"],
        ),
    ]
    rows += [
        measured(
            f"attribution, {words}: time", found["seconds"], "s", f"against {setting}", other=ours["seconds"]
        )
        for words, found in larger.items()
    ]
    return rows


def largest_gap(first: list[float], second: list[float]) -> float:
    """Largest difference of two lists of scores, of the largest score."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) / max(map(abs, second))


def _measure(
    tokenizer: str, way: str, repeats: int, folder: Path, *, blocks: int = N_BLOCKS, stretch: int = 1
) -> dict:
    command = [__file__, tokenizer, way, str(folder), "--repeats", str(repeats)]
    return _found([*command, "--blocks", str(blocks), "--stretch", str(stretch)], {})


def _measure_hooked(model: Path, layer: int, repeats: int, library: Path) -> dict:
    if not (library / "transformer_lens").is_dir():
        raise SystemExit(
            f"{library} has no TransformerLens 3.9; expected it there; `make bench` puts it there"
        )
    script = Path(__file__).with_name("hooked.py")
    command = [str(script), str(model), "--layer", str(layer), "--repeats", str(repeats)]
    path = os.pathsep.join(filter(None, [str(library.resolve()), os.environ.get("PYTHONPATH")]))
    return _found(command, {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore::DeprecationWarning"})


def _found(command: list[str], environment: dict[str, str]) -> dict:
    found = subprocess.run(
        [sys.executable, *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    return json.loads(found.stdout.splitlines()[-1])


def main() -> None:
    """Measure one way and print what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizer")
    parser.add_argument("way", choices=["ours", "plain", "floor", "circuits"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--blocks", type=int, default=N_BLOCKS)
    parser.add_argument("--stretch", type=int, default=1)
    arguments = parser.parse_args()
    steered, prompts, responses = setting(
        arguments.tokenizer, arguments.folder, arguments.blocks, arguments.stretch
    )
    run = {"ours": ours, "plain": plain, "floor": floor, "circuits": circuits}[arguments.way]
    print(json.dumps(best_of(lambda: run(steered, prompts, responses), arguments.repeats)))


def best_of(run: Callable[[], dict], repeats: int) -> dict:
    """The fastest of several runs after a first one that does not count, and what all added to peak memory."""
    reset_peak()
    before = peak_megabytes()
    run()
    runs = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = run()
        runs.append({"seconds": time.perf_counter() - start, **found})
    return {**min(runs, key=lambda each: each["seconds"]), "megabytes": peak_megabytes() - before}


def reset_peak() -> None:
    """Forget the peak of resident memory so far."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """Peak of resident memory."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


def setting(tokenizer: str, folder: Path, blocks: int, stretch: int) -> tuple[Any, list, list]:
    """A random Llama steered at half of its depth, and random prompts and responses."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from steering_study.circuits.paired_runs import SteeredModel
    from steering_study.models.card import describe_model
    from steering_study.models.loading import load_model

    place = folder / f"{blocks}"
    if not place.exists():
        torch.manual_seed(0)
        read = AutoTokenizer.from_pretrained(tokenizer)
        LlamaForCausalLM(
            LlamaConfig(vocab_size=len(read), num_hidden_layers=blocks, initializer_range=0.06, **SHAPE)
        ).save_pretrained(place)
        read.save_pretrained(place)
    model = load_model(describe_model("benchmark", str(place), revision=None, dtype="float32", template={}))
    vector, prompts, responses = random_rows(model.card.d_vocab, model.card.d_model, stretch)
    return SteeredModel(model, blocks // 2, vector), prompts, responses


def random_rows(d_vocab: int, d_model: int, stretch: int = 1) -> tuple[Any, list, list]:
    """A vector, prompts and responses: the same for every process that asks."""
    import torch

    torch.manual_seed(1)
    rows = torch.randint(10, d_vocab, (N_ROWS, stretch * (N_PROMPT + N_RESPONSE))).tolist()
    cut = stretch * N_PROMPT
    return torch.randn(d_model), [tuple(row[:cut]) for row in rows], [tuple(row[cut:]) for row in rows]


def ours(steered: Any, prompts: list, responses: list) -> dict:
    """The study's own attribution."""
    from steering_study.circuits.attribution import Budget, attribute_responses, quadrature

    scores = attribute_responses(
        steered,
        prompts,
        responses,
        metrics=["logit_difference"],
        rule=quadrature("midpoint", N_STEPS),
        budget=Budget(tokens_per_pass=1024, max_values=2**22),
    )["logit_difference"].edges.sum(0)
    return {"scores": scores.flatten().tolist()}


def floor(steered: Any, prompts: list, responses: list) -> dict:
    """Forward and backward passes of the steered blocks at the steps of the path, in the same batches."""
    import torch

    from steering_study.circuits.attribution import quadrature
    from steering_study.circuits.paired_runs import forced_runs
    from steering_study.circuits.traces import trace, whole_rows

    nodes = quadrature("midpoint", N_STEPS).nodes
    for runs in forced_runs(steered, prompts, responses, batch_size=1):
        metric = runs.metrics(steered.head, ["logit_difference"])["logit_difference"]
        steps = runs.shift.new_tensor(nodes)[:, None, None, None]
        path = (runs.tail.resid_pre + steps * runs.shift).flatten(0, 1).requires_grad_()
        found = trace(steered.blocks, path, whole_rows(runs.tail, copies=N_STEPS), positions=runs.positions)
        value = metric(steered.head, found.final.unflatten(0, (N_STEPS, -1))).sum()
        torch.autograd.grad(value, path)
    return {}


def circuits(steered: Any, prompts: list, responses: list) -> dict:
    """Mean time of a circuit, and of a whole forward pass over the same tokens."""
    import numpy as np

    from steering_study.circuits.circuit_runs import measure_circuits
    from steering_study.circuits.faithfulness import size_grid
    from steering_study.circuits.rankings import ranked_circuits
    from steering_study.models.passes import forced_logits, response_batches

    graph = steered.graph
    scores = np.random.default_rng(0).normal(size=graph.edge_mask.shape) * graph.edge_mask
    shares = [1.0, 2.0, 3.4, 5.0, 6.8, 8.5, 10.2, 13.7, 20.0, 30.0, 50.0, 100.0]
    masks = ranked_circuits(
        graph, scores, size_grid(graph.n_edges, step=None, shares_percent=shares), signed=False
    )
    start = time.perf_counter()
    measure_circuits(steered, prompts, responses, masks, batch_size=8, max_values=2**22)
    each = (time.perf_counter() - start) / len(masks)
    start = time.perf_counter()
    for _, batch in response_batches(steered.model, prompts, responses, batch_size=8, max_logits=2**28):
        forced_logits(steered.model, batch, n_positions=len(responses[0]))
    return {"seconds": each, "forward": time.perf_counter() - start}


def plain(steered: Any, prompts: list, responses: list) -> dict:
    """The hooks of TransformerLens 4 around the model's own code."""
    bridge = steered.model.bridge
    bridge.requires_grad_(True)  # the library's default
    bridge.set_use_split_qkv_input(True)
    bridge.set_use_attn_result(True)
    return plain_scores(
        bridge,
        lambda ids: bridge(ids, use_cache=False),
        steered.graph,
        steered.shift,
        (prompts, responses),
        mlp_in="blocks.{}.ln2.hook_in",
        head_in="ln_final.hook_in",
    )


def plain_scores(
    model: Any,
    forward: Callable[[Any], Any],
    graph: Any,
    shift: Any,
    rows: tuple[list, list],
    *,
    mlp_in: str,
    head_in: str,
) -> dict:
    """EAP-IG as the library's hooks suggest it: inputs split a head, results a head, whole passes, step by step."""
    import torch

    from steering_study.circuits.attribution import quadrature

    prompts, responses = rows
    ids = torch.tensor([[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)])
    answer = slice(len(prompts[0]) - 1, ids.shape[1] - 1)
    layers = range(graph.layer, graph.n_layers)
    enter = f"blocks.{graph.layer}.hook_resid_pre"

    def outputs(share: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Every source's output at a point of the path, [src batch pos d_model], and the logits."""
        kept: dict[str, torch.Tensor] = {}

        def steer(resid: torch.Tensor, hook: Any) -> torch.Tensor:
            kept["resid"] = resid + share * shift
            return kept["resid"]

        def keep(name: str) -> Callable[..., None]:
            return lambda value, hook: kept.__setitem__(name, value.detach())

        hooks: list = [(enter, steer)]
        for layer in layers:
            hooks += [
                (f"blocks.{layer}.attn.hook_result", keep(f"a{layer}")),
                (f"blocks.{layer}.hook_mlp_out", keep(f"m{layer}")),
            ]
        with torch.no_grad(), model.hooks(fwd_hooks=hooks):
            logits = forward(ids)
        parts = [kept["resid"][None]]
        for layer in layers:
            parts += [kept[f"a{layer}"].permute(2, 0, 1, 3), kept[f"m{layer}"][None]]
        return torch.cat(parts), logits[:, answer]

    base, base_logits = outputs(0.0)
    steer, steer_logits = outputs(1.0)
    delta, y, y_base = steer - base, steer_logits.argmax(-1), base_logits.argmax(-1)
    scores = torch.zeros(graph.n_src, graph.n_dst)

    def contract(first: int, n_src: int) -> Callable[..., None]:
        def add(gradient: torch.Tensor, hook: Any) -> None:
            gradient = gradient if gradient.ndim == 4 else gradient[:, :, None]
            found = torch.einsum("sbpd,bpvd->sv", delta[:n_src], gradient)
            scores[:n_src, first : first + gradient.shape[2]] += found / N_STEPS

        return add

    backward: list = [(head_in, contract(graph.lm_head, graph.n_src))]
    for i, layer in enumerate(layers):
        n_src = graph.n_src_before(i)
        for kind, letter in (("attn_q", "q"), ("attn_k", "k"), ("attn_v", "v")):
            backward.append(
                (f"blocks.{layer}.hook_{letter}_input", contract(graph.dst(i, kind).start, n_src))
            )
        backward.append((mlp_in.format(layer), contract(graph.dst(i, "mlp").start, graph.mlp_src(i))))
    for node in quadrature("midpoint", N_STEPS).nodes:
        added = (node * shift).requires_grad_()
        with model.hooks(
            fwd_hooks=[(enter, lambda resid, hook, added=added: resid + added)], bwd_hooks=backward
        ):
            logits = forward(ids)[:, answer]
            chosen = logits.gather(-1, torch.stack([y, y_base], -1))
            ((chosen[..., 0] - chosen[..., 1]) * (y != y_base)).sum().backward()
    model.zero_grad(set_to_none=True)
    return {"scores": scores.flatten().tolist()}


if __name__ == "__main__":
    main()
