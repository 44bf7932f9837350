"""What a job costs before it computes, and how writing texts grows with width, depth and the number of prompts.

Growth is the slope of log seconds on log size, fitted by least squares to the least of several runs at each size:

    seconds ~ size ** slope
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from freezing import endless
from rows import measured
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from steering_study.models.chat import render_chat
from steering_study.models.decoding import generate
from steering_study.models.loading import ChatModel

ROOT = Path(__file__).parents[1]
HIDDEN = ("results", "reports", "logs")  # so that everything is to be planned
N_EMPTY_JOBS, N_NEW = 30, 32
IMPORTS = {
    "torch": "import torch",
    "torch and transformers": "import torch, transformers.modeling_utils",
    "all that a job needs to run a model": "import steering_study.texts.responses; "
    "from transformer_lens.model_bridge import TransformerBridge",
}
EMPTY = """
rule all:
    input: expand("made/{i}", i=range(%d))
rule make:
    output: touch("made/{i}")
"""


@dataclass(frozen=True)
class Size:
    """A random Llama and the prompts that it answers."""

    width: int = 256
    blocks: int = 8
    prompts: int = 32


GROWTHS = {
    "width": [Size(width=width) for width in (128, 256, 512, 1024)],
    "blocks": [Size(blocks=blocks) for blocks in (4, 8, 16, 32)],
    "prompts": [Size(prompts=prompts) for prompts in (16, 32, 64, 128)],
}


def benchmark_scaling(tokenizer: str, *, repeats: int) -> list[dict]:
    """Rows of the graph of jobs, of imports and of growth."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            *_graph(Path(folder), repeats),
            *_imports(repeats),
            *_growth(tokenizer, Path(folder), repeats),
        ]


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Of log seconds on log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _graph(folder: Path, repeats: int) -> list[dict]:
    """The default study planned and not run, and jobs that do nothing, run."""
    planned, empty = folder / "planned", folder / "empty"
    planned.mkdir()
    empty.mkdir()
    for path in ROOT.iterdir():
        if path.name not in HIDDEN and not path.name.startswith("."):
            (planned / path.name).symlink_to(path)
    (empty / "Snakefile").write_text(EMPTY % N_EMPTY_JOBS)
    plan = ["all", "-n", "--quiet", "rules"]
    counted = re.search(r"^ *total +(\d+)", _snakemake(plan, planned), re.M)
    if counted is None:
        raise SystemExit("`snakemake -n` printed no total of jobs; expected one line of it")
    n_jobs = int(counted[1])
    seconds = _least(lambda: _snakemake(plan, planned), repeats)
    run = ["all", "--cores", "1", "--forceall", "--quiet", "all"]
    of_empty = _least(lambda: _snakemake(run, empty), repeats)
    return [
        measured(
            "graph of jobs, planned: time a job", seconds / n_jobs, "s", f"{n_jobs} jobs of the default study"
        ),
        measured(
            "graph of jobs, run: time a job",
            of_empty / N_EMPTY_JOBS,
            "s",
            f"{N_EMPTY_JOBS} jobs that do nothing",
        ),
    ]


def _imports(repeats: int) -> list[dict]:
    def seconds(code: str) -> float:
        return _least(lambda: subprocess.run([sys.executable, "-c", code], check=True), repeats)

    return [
        measured(f"import of {what}: time", seconds(code), "s", "a fresh Python")
        for what, code in IMPORTS.items()
    ]


def _growth(tokenizer: str, folder: Path, repeats: int) -> list[dict]:
    rows = []
    for name, sizes in GROWTHS.items():
        seconds = []
        for size in sizes:
            model = _random_llama(tokenizer, folder / f"{size.width}-{size.blocks}", size)
            seconds.append(_least(lambda model=model, size=size: _write(model, size.prompts), repeats))
        values = [getattr(size, name) for size in sizes]
        fixed = ", ".join(f"{key} {value}" for key, value in vars(Size()).items() if key != name)
        setting = f"{name} {values[0]} to {values[-1]}; {fixed}; {N_NEW} new tokens, {torch.get_num_threads()} threads"
        rows.append(measured(f"texts, growth with {name}: slope", slope(values, seconds), "", setting))
    return rows


def _random_llama(tokenizer: str, folder: Path, size: Size) -> ChatModel:
    if not folder.exists():
        torch.manual_seed(0)
        read = AutoTokenizer.from_pretrained(tokenizer)
        config = LlamaConfig(
            vocab_size=len(read),
            hidden_size=size.width,
            intermediate_size=4 * size.width,
            num_hidden_layers=size.blocks,
            num_attention_heads=8,
            num_key_value_heads=4,
        )
        LlamaForCausalLM(config).save_pretrained(folder)
        read.save_pretrained(folder)
    return endless(str(folder))


def _write(model: ChatModel, n_prompts: int) -> None:
    texts = [f"Tell me about item {i}." for i in range(n_prompts)]
    prompts = render_chat(model.tokenizer, texts, context=model.card.context)
    generate(model, prompts, max_new_tokens=N_NEW, batch_size=n_prompts)


def _snakemake(arguments: list[str], folder: Path) -> str:
    command = [sys.executable, "-m", "snakemake", *arguments]
    found = subprocess.run(
        command, check=True, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return found.stdout


def _least(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several runs, the first of which does not count."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
