"""What `config/paper.yaml` costs on a GPU, by arithmetic alone: prints the tables of docs/running/paper-run.md.

A step of decoding reads the weights once for all rows of a batch, and keys and values of every row; a pass over given tokens
takes two operations a parameter and token, and going back to the residual stream as many again:

    decode     texts / rows * new_tokens * (weights + streams * rows * cache(prompt + new_tokens / 2)) / TRAFFIC
    forward    2 * parameters * tokens / RATE

Every text counts as long as it may be, so texts that end early make it less; what is not counted, sums between blocks, starts of
jobs, a GPU that waits, makes it more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from steering_study.models.sizes import BYTES, cache_bytes, count_parameters
from steering_study.study.config import load_study
from steering_study.study.requests import PROMPT_TOKENS, Load, held_bytes, loads_of

CONFIG = Path(__file__).parents[1] / "config"
RATE = 1e14  # operations a second that a data-centre GPU sustains in bfloat16
TRAFFIC = 1e12  # bytes a second that it sustains
ROWS = 32  # side by side
CONDITIONS = 2  # induce, bypass
SHAPES: dict[str, dict[str, Any]] = {
    "Gemma 2 2B": {"n_layers": 26, "n_heads": 8, "n_kv_heads": 4, "d_model": 2304, "d_head": 256}
    | {"d_mlp": 9216, "d_vocab": 256_000, "context": 8192, "dtype": "bfloat16", "layer": 15}
    | {"n_sizes": 30},
    "Llama 3.2 3B": {"n_layers": 28, "n_heads": 24, "n_kv_heads": 8, "d_model": 3072, "d_head": 128}
    | {"d_mlp": 8192, "d_vocab": 128_256, "context": 131_072, "dtype": "bfloat16", "layer": 12}
    | {"n_sizes": 83},
}
KINDS = {
    "passes": "passes over prompts or given texts",
    "answers": "texts",
    "paired_answers": "texts under ablations or circuits",
    "circuits": "circuits",
    "backward": "backward passes",
    "training": "training",
}


def paper_study() -> Any:
    """The checked config of the published study."""
    config, overlay = (
        yaml.safe_load((CONFIG / name).read_text("utf-8")) for name in ("study.yaml", "paper.yaml")
    )
    update_config(config, overlay)
    return load_study(config)


def gpu_gigabytes(card: Mapping[str, Any], load: Load) -> float:
    """Weights and what a job holds, in GB."""
    return (BYTES[card["dtype"]] * count_parameters(card) + held_bytes(card, load)) / 1e9


def decode_hours(card: Mapping[str, Any], texts: float, new_tokens: int, *, streams: int = 1) -> float:
    """Hours of writing texts, batch after batch."""
    weights = BYTES[card["dtype"]] * count_parameters(card)
    cache = cache_bytes(card, rows=streams * ROWS, tokens=PROMPT_TOKENS + new_tokens // 2)
    return math.ceil(texts / ROWS) * new_tokens * (weights + cache) / TRAFFIC / 3600


def forward_hours(card: Mapping[str, Any], texts: float, tokens: int, *, blocks: float = 1.0) -> float:
    """Hours of forward passes over texts of so many tokens, of a share of the blocks."""
    return 2 * blocks * count_parameters(card) * texts * tokens / RATE / 3600


def hours_of_rules(card: Mapping[str, Any], study: Any) -> dict[str, float]:
    """Hours of one model's jobs, by rule, one after the other."""
    sizes, new = study.prompts.sizes, study.generation.max_new_tokens
    tokens, upper = PROMPT_TOKENS + new, 1 - card["layer"] / card["n_layers"]
    tests = sum(study.prompts.test_sizes.values())
    main = sum(study.prompts.test_sizes[name] for name in study.prompts.main_sets.values())
    split = {name: CONDITIONS * size for name, size in sizes.items()}
    learned = len(study.search.learned)
    grid = sum(len(values) for values in study.dim.coefficients.values()) + CONDITIONS
    validation = sizes["validation"]

    def written(texts: float, new_tokens: int = new, *, streams: int = 1) -> float:
        """Steered texts, and their likelihoods without steering."""
        scored = forward_hours(card, texts, PROMPT_TOKENS + new_tokens)
        return decode_hours(card, texts, new_tokens, streams=streams) + scored

    methods, controls = len(study.circuits.methods), len(study.methods) - len(study.circuits.methods)
    sweeps = (methods * grid + controls * CONDITIONS) * validation
    ablations = sum(len(names) for names in study.attention.ablations.values())
    sparsity, circuits = study.sparsity, study.circuits
    levels = len(sparsity.percents) + len(sparsity.thresholds)
    few = len(sparsity.variants["percents"]) * len(sparsity.variants["criteria"])
    beyond = (2 * few + 2 * len(sparsity.shared_percents)) * main
    drawn = sum(
        min(size, sparsity.dropout["prompts"]) for size in study.prompts.test_sizes.values()
    )  # of each set, by each draw
    sparse = (1 + 3 * levels) * tests + sparsity.dropout["draws"] * levels * drawn + beyond
    retuned = few * len(sparsity.variants["factors"]) * CONDITIONS * sparsity.variants["prompts"]
    trials = sum(len(study.search.trials(name)) for name in study.search.learned)
    pairs = split["train"] + split["augmentation"]
    trained = study.search.epochs * 2 * pairs * (PROMPT_TOKENS + study.search.max_tokens)
    responses = 2 * main  # what steering flipped, and what it did not: four sets
    one_forward = forward_hours(card, responses, tokens, blocks=upper)
    return {
        "generate_base": decode_hours(card, sum(split.values()) + tests, new),
        "contrast_responses": written(sum(split.values()), study.search.max_tokens),
        "extract_activations, select_direction": forward_hours(
            card,
            split["train"] + 3 * split["validation"] * card["n_layers"] * 5,  # 5 closing tokens
            PROMPT_TOKENS,
        ),
        "generate_steered": written(
            sweeps
            + len(study.methods) * (tests + main / 2 + (len(study.layers) + 1) * CONDITIONS * validation)
        ),
        "train_vectors": trials * forward_hours(card, trained, 1, blocks=2 * upper),
        "train_layers": learned * len(study.layers) * forward_hours(card, trained, 1, blocks=2 * upper),
        "attribute_edges": methods * circuits.steps * (1 + len(circuits.metrics)) * one_forward,
        "evaluate_circuits": methods * 11 * card["n_sizes"] * one_forward / 2,
        "generate_circuits": methods * 2 * written(main, streams=2),
        "freeze_attention": methods * ablations * written(tests, streams=2),
        "generate_sparse": methods
        * (written(sparse, sparsity.max_new_tokens) + written(retuned, sparsity.max_new_tokens)),
    }


def tables(study: Any) -> list[str]:
    """Lines of the two tables: memory by kind of job, hours by rule."""
    loads = loads_of(study)
    names = list(SHAPES)
    lines = ["| kind of job | " + " | ".join(f"{name}, GB" for name in names) + " |", "|---|---|---|"]
    for kind, words in KINDS.items():
        load = replace(loads[kind], rows=ROWS if loads[kind].rows else 0)
        lines.append(
            f"| {words} | "
            + " | ".join(f"{gpu_gigabytes(card, load):.0f}" for card in SHAPES.values())
            + " |"
        )
    hours = {name: hours_of_rules(card, study) for name, card in SHAPES.items()}
    lines += ["", "| rule | " + " | ".join(f"{name}, hours" for name in names) + " |", "|---|---|---|"]
    for rule in hours[names[0]]:
        lines.append(
            f"| {', '.join(f'`{each}`' for each in rule.split(', '))} | "
            + " | ".join(f"{hours[name][rule]:.1f}" for name in names)
            + " |"
        )
    totals = " | ".join(f"{sum(hours[name].values()):.0f}" for name in names)
    return [*lines, f"| all | {totals} |"]


if __name__ == "__main__":
    print("\n".join(tables(paper_study())))
