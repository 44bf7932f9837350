"""What a job asks of a scheduler: memory, minutes and GPUs, from its model's card, the config and the attempt.

Bounds from above (docs/running/resources.md); a job that they fail is submitted again with half as much more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steering_study.models.sizes import (
    BYTES,
    MAX_LOGITS,
    OPEN_ROWS,
    backward_bytes,
    cache_bytes,
    count_parameters,
    logit_bytes,
    source_values,
)

MB = 10**6
GROWTH = 1.5  # of memory and minutes, from one attempt to the next
PYTHON_MB = 1200  # Python with torch and transformers, 700, and the two Snakemake processes of a SLURM job
CUDA_MB = 3000  # libraries and context
PROMPT_TOKENS = 128  # ASSUME: of a prompt in its chat template
JUDGE_PARAMETERS = 8 * 10**9  # ASSUME: of a classifier on the hub; the published ones have no more
GPU_PARAMETERS = 10**8  # from which on a model is worth a GPU of a cluster
LOADED = 2  # copies of the weights: the file's pages, and the tensors


@dataclass(frozen=True)
class Load:
    """What a job holds at once beside the weights.

    `rows` texts side by side with their keys and values, `caches` times; `scored_rows` given texts in one pass; `new_tokens` of each
    after the prompt; `trained_tokens` positions of a backward pass; `values` numbers of the sources' changes; whether
    the scored rows are run through circuits.
    """

    new_tokens: int
    rows: int = 0
    caches: int = 1
    scored_rows: int = 0
    trained_tokens: int = 0
    values: int = 0
    runs_circuits: bool = False


def loads_of(study: Any) -> dict[str, Load]:
    """What the kinds of jobs that run a model hold, from a checked config (`config.load_study`); rules name a kind."""
    circuits, search = study.circuits, study.search
    written, scored = (
        rows or OPEN_ROWS for rows in (study.generation.batch_size, study.generation.scored_batch_size)
    )
    passes = Load(new_tokens=study.generation.max_new_tokens, scored_rows=scored)
    answers = replace(passes, rows=written)
    # both responses of each pair of a step, of all trials side by side
    side_by_side = max(
        (len(shard) for method in search.learned for shard in search.shards(method)), default=0
    )
    responses = 2 * side_by_side * max(search.batch_sizes)
    return {
        "passes": passes,
        "answers": answers,
        "contrasts": replace(answers, new_tokens=search.max_tokens),
        "sparse_answers": replace(answers, new_tokens=study.sparsity.max_new_tokens),
        "paired_answers": replace(answers, caches=2),  # steer and base at once
        "training": replace(
            passes,
            new_tokens=search.max_tokens,
            trained_tokens=responses * (PROMPT_TOKENS + search.max_tokens),
        ),
        "circuits": replace(passes, values=circuits.max_values, runs_circuits=True),
        "backward": replace(passes, trained_tokens=circuits.tokens_per_pass, values=circuits.max_values),
    }


def memory_mb(card: Mapping[str, Any], load: Load, *, on_gpu: bool, attempt: int) -> int:
    """Memory of the machine for a job that runs a model, in MB.

    On a GPU the machine itself holds the weights while they are loaded, and little else.
    """
    weights = LOADED * BYTES[card["dtype"]] * count_parameters(card)
    if on_gpu:
        return grown(PYTHON_MB + CUDA_MB + weights / MB, attempt)
    return grown(PYTHON_MB + (weights + held_bytes(card, load)) / MB, attempt)


def held_bytes(card: Mapping[str, Any], load: Load) -> int:
    """What a job holds at once beside the weights, on a CPU or a GPU."""
    tokens = min(card["context"], PROMPT_TOKENS + load.new_tokens)
    return (
        load.caches * cache_bytes(card, rows=load.rows, tokens=tokens)
        + logit_bytes(card, rows=load.scored_rows, tokens=load.new_tokens)
        + backward_bytes(card, positions=load.trained_tokens, tokens=tokens, new_tokens=load.new_tokens)
        + 2 * 4 * load.values
        + _circuit_bytes(card, load, tokens)
    )


def _circuit_bytes(card: Mapping[str, Any], load: Load, tokens: int) -> int:
    """Changes of all sources, were every block steered, in the scored rows that one pass takes."""
    if not load.runs_circuits:
        return 0
    rows = min(load.scored_rows, max(1, MAX_LOGITS // (load.new_tokens * card["d_vocab"])))
    n_src = 1 + card["n_layers"] * (card["n_heads"] + 1)
    of_one = source_values(n_src=n_src, tokens=tokens, d_model=card["d_model"])
    return rows * BYTES[card["dtype"]] * of_one


def judge_memory_mb(classifiers: Mapping[str, Mapping[str, Any]], *, on_gpu: bool, attempt: int) -> int:
    """Memory for classifiers that are held side by side, in MB; without any, that of a table of texts.

    A folder is as large as its files; of a hub id nothing is known before it is fetched. An adapter needs its base model as well.
    """
    if not classifiers:
        return 1000
    weights = sum(_classifier_bytes(settings) for settings in classifiers.values())
    return grown(PYTHON_MB + (CUDA_MB if on_gpu else 0) + LOADED * weights / MB, attempt)


def file_memory_mb(path: Path, *, attempt: int) -> int:
    """Memory for a job that reads a file into some copies, in MB.

    Raises:
        FileNotFoundError: before the file is there.
    """
    return grown(2000 + 4 * path.stat().st_size / MB, attempt)


def minutes(card: Mapping[str, Any], *, per_billion: int, attempt: int) -> int:
    """Minutes of a job that runs a model: half an hour, and more for each billion of parameters."""
    return grown(30 + per_billion * count_parameters(card) / 1e9, attempt)


def is_worth_a_gpu(card: Mapping[str, Any]) -> bool:
    """Whether a model of this size should wait for a GPU of a cluster."""
    return count_parameters(card) >= GPU_PARAMETERS


def grown(first: float, attempt: int) -> int:
    """What the attempt asks for, where the first asks for `first`."""
    return math.ceil(first * GROWTH ** (attempt - 1))


def _classifier_bytes(settings: Mapping[str, Any]) -> int:
    source, base = settings.get("source"), settings.get("base_model")
    on_hub = JUDGE_PARAMETERS * BYTES[settings.get("dtype", "bfloat16")]
    is_adapter = base is not None or bool(source and (Path(source) / "adapter_config.json").exists())
    return sum(
        sum(path.stat().st_size for path in Path(each).glob("*.safetensors"))
        if each and Path(each).is_dir()
        else on_hub
        for each in ((source, base) if is_adapter else (source,))
    )
