"""Tidy frames of the report: the numbers behind each figure, as CSV that any program opens.

A rule makes them from the study's tables; figures, notebooks and the page show them and compute nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from steering_study.attention import section as attention
from steering_study.circuits import section as circuits
from steering_study.claims import section as claims
from steering_study.report.run import page
from steering_study.sparsity import section as sparsity
from steering_study.steering import section as steering
from steering_study.store.artifacts import read_table, write_csv
from steering_study.store.schema import Table
from steering_study.vectors import section as vectors

OF_ALL_MODELS = (
    "ablation_means",
    "claim_means",
    "judge_errors",
)  # tables that hold no single model's numbers

FRAMES: dict[str, Mapping[str, str]] = {
    **claims.FRAMES,
    **steering.FRAMES,
    **vectors.FRAMES,
    **circuits.FRAMES,
    **attention.FRAMES,
    **sparsity.FRAMES,
    **page.FRAMES,
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
    kinds: Mapping[str, Table], paths: Mapping[str, Sequence[Path]], *, models: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Read each table of a section, the files of all models as one frame with a column `model`.

    Args:
        kinds: the table that each is, by the section's name for it.
        paths: its files by the same name, as many of each model, in the order of `models`; a table of
            `OF_ALL_MODELS` has one file and gets no such column.
    """
    tables = {}
    for name, kind in kinds.items():
        if kind.name in OF_ALL_MODELS:
            tables[name] = pd.concat([read_table(path, kind) for path in paths[name]], ignore_index=True)
            continue
        n_each, rest = divmod(len(paths[name]), len(models))
        if not paths[name]:  # of learned methods, and the study has none
            tables[name] = pd.DataFrame(columns=[*kind.names, "model"])
            continue
        if rest:
            raise ValueError(f"table {name!r} has {len(paths[name])} files for {len(models)} models")
        parts = [
            read_table(path, kind).assign(model=models[place // n_each])
            for place, path in enumerate(paths[name])
        ]
        tables[name] = pd.concat(parts, ignore_index=True)
    return tables
