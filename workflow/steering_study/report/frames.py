"""Tidy frames of the report: the numbers behind each figure, as CSV that any program opens.

A rule makes them from the study's tables; figures, notebooks and the page show them and compute nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from steering_study.artifacts import read_table, write_csv
from steering_study.table_schemas import TABLES

OF_ALL_MODELS = (
    "ablation_means",
    "claim_means",
    "judge_errors",
)  # tables that hold no single model's numbers

# Column types in the words of table_schemas.TABLES.
FRAMES: dict[str, dict[str, str]] = {
    "candidates": {
        "model": "string",
        "layer": "int64",
        "position": "int64",
        "token": "string",  # of the chat template, at that position
        "bypass": "float64",
        "induce": "float64",
        "kl": "float64",
        "score": "float64",  # sigmoid(bypass) - sigmoid(induce)
        "fell": "string",  # letters of the filters not passed: L layer, I induce, K kl, ? not finite
        "kept": "bool",
        "reason": "string",
        "selected": "bool",
    },
    "dose_response": TABLES["dose_response"],
    "asr": TABLES["asr"],
    "judge_errors": TABLES["judge_errors"],
    "flips": TABLES["flips"],
    "bystanders": TABLES["bystanders"],
    "endings": {
        "model": "string",
        "condition": "string",  # base, or that of DIM's steering
        "n": "int64",  # texts
        "finished": "int64",  # by the model's own end-of-turn token
        "cut": "int64",
        "mean_tokens": "float64",
        "most_tokens": "int64",
        "end_of_turn": "string",  # the tokens' ids
    },
    "published_asr": {
        "model": "string",  # of ours, beside which the value stands
        "published_model": "string",
        "dataset": "string",  # ours
        "published_dataset": "string",
        "method": "string",
        "asr": "float64",
    },
    "layers": TABLES["layers"],
    "side_effects": TABLES["side_effects"],
    "selected_layer": {"model": "string", "layer": "int64", "position": "int64"},
    "cosine": {"model": "string", **TABLES["cosine"]},
    "trials": {"model": "string", **TABLES["trials"]},
    "training": {"model": "string", **TABLES["training"]},
    "search_grid": {
        "model": "string",
        "method": "string",
        "setting": "string",  # a column of trials
        "tried": "float64",  # one value of it
        "is_chosen": "bool",  # by the selected trial
    },
    "published_grid": {"method": "string", "setting": "string", "tried": "float64"},
    "pair_counts": {
        "model": "string",
        "label": "string",
        "split": "string",
        "origin": "string",
        "reason": "string",  # empty for those that were kept
        "n": "int64",
    },
    **{
        table: {"model": "string", **TABLES[table]}
        for table in (
            "faithfulness",
            "completeness",
            "edge_census",
            "edge_shares",
            "top_edges",
            "overlap",
            "interchange",
            "interchange_fit",
            "circuit_asr",
        )
    },
    "published_minimum": {"model": "string", "share_of_edges": "float64", "faithfulness": "float64"},
    "published_shares": {
        "published_model": "string",
        "method": "string",
        "scope": "string",
        "end": "string",
        "node_kind": "string",
        "percent": "float64",
    },
    "published_sets": {
        "published_model": "string",
        "method": "string",
        "patching_set": "string",
        "n": "int64",
        "n_positions": "int64",
    },
    "published_metrics": {"metric": "string", "n_positions": "int64"},
    **{
        table: {"model": "string", **TABLES[table]}
        for table in ("ablations", "nodes", "svv_tokens", "svv_concepts", "attention_maps")
    },
    "neurons": {"model": "string", **TABLES["neurons"], "promotes": "string", "suppresses": "string"},
    "ablation_means": TABLES["ablation_means"],
    "claims": {"model": "string", **TABLES["claims"], "tables": "string", "rules": "string"},
    "claim_means": TABLES["claim_means"],
    "claim_list": {
        "claim": "string",
        "section": "string",  # that shows and explains the number
        "statement": "string",
        "published": "string",
        "unit": "string",
        "place": "string",  # in the paper
        "reading": "string",  # its criterion in words; empty: none
        "slip": "string",
        "method": "string",  # page and heading with the equation; empty: nothing is measured
    },
    "published_ablations": {
        "published_model": "string",
        "ablation": "string",
        "dataset": "string",  # ours
        "published_dataset": "string",
        "asr": "float64",
        "change_points": "float64",
    },
    "published_ablation_means": {"ablation": "string", "mean_change_points": "float64"},
    "frozen_examples": {
        "model": "string",
        "dataset": "string",
        "condition": "string",
        "prompt_id": "string",
        "prompt": "string",
        "ablation": "string",  # base: without steering
        "text": "string",
        "verdict": "string",
    },
    "sparsity_curves": {
        "model": "string",
        "method": "string",
        "criterion": "string",  # none: dense
        "condition": "string",
        "dataset": "string",
        "threshold": "float64",
        "target_percent": "float64",
        "sparsity_percent": "float64",
        "n_kept": "int64",
        "n_draws": "int64",
        "n": "int64",  # prompts of a draw
        "asr": "float64",  # mean over draws
        "asr_low": "float64",  # of dropout: the least of the draws
        "asr_high": "float64",
        "degenerate_rate": "float64",
    },
    "sparse_variants": {
        "model": "string",
        "method": "string",
        "variant": "string",  # dense, plain, rescaled, retuned
        "target_percent": "float64",  # 0: dense
        "condition": "string",
        "dataset": "string",
        "factor": "float64",
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "degenerate_rate": "float64",
        "flip_rate": "float64",
    },
    "shared_asr": {
        "model": "string",
        "method": "string",
        "part": "string",  # none: dense; shared; unshared
        "target_percent": "float64",  # 0: dense
        "n_kept": "int64",
        "dataset": "string",
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "degenerate_rate": "float64",
    },
    "shared_dimensions": {"model": "string", **TABLES["shared_dimensions"], "dimensions": "string"},
    "sparse_circuits": {
        "model": "string",
        "method": "string",
        "target_percent": "float64",
        "nominal_edges": "int64",
        "n_edges": "int64",
        "faithfulness": "float64",  # mean over test sets
        "gap": "float64",
        "n": "int64",  # responses that the vector changes
    },
    **{
        table: {"model": "string", **TABLES[table]}
        for table in ("retention", "sparsity_kl", "iou", "shared_tokens")
    },
    "published_sparsity": {
        "published_model": "string",
        "method": "string",
        "criterion": "string",
        "dataset": "string",  # ours
        "published_dataset": "string",
        "threshold": "float64",
        "sparsity_percent": "float64",
        "asr": "float64",
    },
    "published_families": {"model": "string", "published_model": "string"},
    "published_retention": {
        "published_model": "string",  # mean: over them
        "method": "string",
        "criterion": "string",
        "area": "float64",
        "largest_percent": "float64",
    },
    "examples": {
        "model": "string",
        "method": "string",
        "condition": "string",
        "dataset": "string",
        "coefficient": "float64",
        "prompt_id": "string",
        "prompt": "string",
        "base": "string",
        "base_verdict": "string",
        "steered": "string",
        "steered_verdict": "string",
        "flipped": "bool",
    },
    "stages": {  # nodes of the graph of rules
        "stage": "int64",
        "rule": "string",
        "part": "string",  # file of rules
        "detail": "string",  # what tells it from other stages of the rule
        "jobs": "int64",
    },
    "links": {"source": "int64", "target": "int64"},  # stages, of which the second needs the first
    "job_times": {
        "rule": "string",
        "part": "string",
        "wildcards": "string",
        "seconds": "float64",  # wall time; NaN: not measured
        "cpu_seconds": "float64",
        "max_rss_mib": "float64",
    },
    "rule_times": {
        "rule": "string",
        "part": "string",
        "jobs": "int64",
        "measured": "int64",  # jobs with a benchmark file
        "total_seconds": "float64",
        "mean_seconds": "float64",
        "longest_seconds": "float64",
        "cpu_seconds": "float64",
        "max_rss_mib": "float64",
    },
    "files": {
        "path": "string",
        "rule": "string",
        "known_from": "string",  # file: it says so itself; plan: its format cannot; missing: it could
        "code": "string",  # digest of the code that made it
        "seed": "string",
        "revision": "string",  # of the model
        "inputs": "int64",  # that it names with their sha256
        "changed": "int64",  # of those, which are other files by now
        "count": "int64",  # rows or tensors; -1: neither
        "unit": "string",
        "bytes": "int64",
        "sha256": "string",
    },
}


def read_frame(path: Path, *, frame: str) -> pd.DataFrame:
    """Read a tidy frame with the types of its columns.

    Raises:
        ValueError: if the file cannot be read or has other columns.
    """
    columns = FRAMES[frame]
    found = list(_read_csv(path, nrows=0).columns)
    if found != list(columns):
        raise ValueError(
            f"{path} has columns {found}, frame {frame!r} expects {list(columns)}; delete it and run again"
        )
    kinds = {column: "str" if kind == "string" else kind for column, kind in columns.items()}
    numbers = {column: [""] for column, kind in columns.items() if kind == "float64"}
    return _read_csv(path, dtype=kinds, keep_default_na=False, na_values=numbers)


def _read_csv(path: Path, **options: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(path, **options)
    except ValueError as error:
        raise ValueError(f"{path} is not a readable CSV file ({error}); delete it and run again") from error


def write_frame(path: Path, data: pd.DataFrame, *, frame: str) -> None:
    """Write a tidy frame, columns in the order of `FRAMES`.

    Raises:
        ValueError: if a column is missing or superfluous.
    """
    columns = list(FRAMES[frame])
    if set(data.columns) != set(columns):
        raise ValueError(f"frame {frame!r} expects columns {columns}, got {list(data.columns)}")
    write_csv(path, data[columns])


def read_tables(
    kinds: Mapping[str, str], paths: Mapping[str, Sequence[Path]], *, models: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Read each table of a section, the files of all models as one frame with a column `model`.

    Args:
        kinds: schema of each table, by its name.
        paths: its files by the same name, as many of each model, in the order of `models`; a table of
            `OF_ALL_MODELS` has one file and gets no such column.
    """
    tables = {}
    for name, kind in kinds.items():
        if kind in OF_ALL_MODELS:
            tables[name] = pd.concat(
                [read_table(path, table=kind) for path in paths[name]], ignore_index=True
            )
            continue
        n_each, rest = divmod(len(paths[name]), len(models))
        if not paths[name]:  # of learned methods, and the study has none
            tables[name] = pd.DataFrame(columns=[*TABLES[kind], "model"])
            continue
        if rest:
            raise ValueError(f"table {name!r} has {len(paths[name])} files for {len(models)} models")
        parts = [
            read_table(path, table=kind).assign(model=models[place // n_each])
            for place, path in enumerate(paths[name])
        ]
        tables[name] = pd.concat(parts, ignore_index=True)
    return tables
