"""Every file that the study made: which rule, code, seed and model it comes from, by what it carries in itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from safetensors import safe_open

from steering_study.report.run.jobs import Job
from steering_study.store.artifacts import read_provenance, sha256_of

CARRIERS = (".parquet", ".safetensors")  # formats with room for a provenance

# Where the rule of a file is known from
FILE, PLAN, NOTHING = "file", "plan", "missing"  # the file says it; its format cannot; it could, and does not


def file_table(jobs: Sequence[Job], root: Path, *, revisions: Mapping[str, str]) -> pd.DataFrame:
    """Frame `files`: the files of all jobs that exist, results before reports.

    Args:
        revisions: of each model, by its name.
    """
    paths = [(path, job) for job in jobs for output in job.outputs for path in files_in(output, root)]
    paths.sort(key=lambda each: (not each[0].startswith("results/"), each[0]))
    digests: dict[str, str] = {}

    def digest(path: str) -> str:
        if path not in digests:
            digests[path] = sha256_of(root / path) if (root / path).exists() else ""
        return digests[path]

    rows = []
    for path, job in paths:
        kept = read_provenance(root / path) if path.endswith(CARRIERS) else {}
        inputs = kept.get("inputs", {})
        rows.append(
            {
                "path": path,
                "rule": kept.get("rule", job.rule),
                "known_from": FILE if kept else NOTHING if path.endswith(CARRIERS) else PLAN,
                "code": kept.get("params", {}).get("code", ""),
                "seed": seeds_in(kept.get("params", {})),
                "revision": revisions.get(kept.get("wildcards", job.wildcards).get("model", ""), ""),
                "inputs": len(inputs),
                "changed": sum(digest(name) != sha256 for name, sha256 in inputs.items()),
                **size_of(root / path),
                "sha256": digest(path),
            }
        )
    return pd.DataFrame(rows)


def files_in(output: str, root: Path) -> list[str]:
    """An output that exists, or what it holds if it is a folder."""
    path = root / output
    files = path.rglob("*") if path.is_dir() else [path]
    return [
        file.relative_to(root).as_posix()
        for file in files
        if file.is_file() and not file.name.startswith(".")  # Snakemake keeps a time stamp in a folder
    ]


def seeds_in(params: Any) -> str:
    """Seeds of the params of a rule, wherever they stand in them."""
    return ", ".join(map(str, dict.fromkeys(value for _, value in find_seeds(params))))


def find_seeds(value: Any, at: str = "") -> list[tuple[str, int]]:
    """Places and values of everything that is called `seed` or `seeds`."""
    if isinstance(value, Mapping):
        found = []
        for key, each in value.items():
            where = f"{at}.{key}" if at else str(key)
            if key in ("seed", "seeds"):
                found += [(where, seed) for seed in (each if isinstance(each, list) else [each])]
            else:
                found += find_seeds(each, where)
        return found
    if isinstance(value, list):
        return [pair for each in value for pair in find_seeds(each, at)]
    return []


def size_of(path: Path) -> dict[str, Any]:
    """What a file holds and how long it is; `count` is -1 for what has no parts to count."""
    count, unit = -1, ""
    if path.suffix == ".parquet":
        count, unit = pq.read_metadata(path).num_rows, "rows"
    elif path.suffix == ".csv":
        count, unit = len(pd.read_csv(path, usecols=[0])), "rows"
    elif path.suffix == ".safetensors":
        with safe_open(path, framework="np") as file:
            count, unit = len(list(file.keys())), "tensors"
    return {"count": count, "unit": unit, "bytes": path.stat().st_size}
