"""The exported folder as a data package: what each file and each column is, checksums, citation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from steering_study.store.artifacts import sha256_of
from steering_study.store.schema import Table

_TYPES = {
    "string": "string",
    "int64": "integer",
    "float64": "number",
    "bool": "boolean",
}  # in the words of the data package standard; lists are arrays
_MEDIA = {
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".md": "text/markdown",
    ".cff": "application/yaml",
}


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame for CSV: lists as JSON arrays."""
    is_list = {name: frame[name].map(_is_list).any() for name in frame}
    return frame.assign(
        **{
            name: frame[name].map(lambda value: json.dumps(list(value), default=_plain, ensure_ascii=False))
            for name in frame
            if is_list[name]
        }
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, list | np.ndarray)


def _plain(value: Any) -> Any:
    return value.item()


def citation(software: Mapping[str, Any], *, models: Sequence[str]) -> dict[str, Any]:
    """Citation of the folder as a data set, from that of the software (CITATION.cff)."""
    return {
        **software,
        "message": "If you use these vectors, circuits or tables, please cite them together with the paper.",
        "title": f"{software['title']} (vectors, circuits and tables of {', '.join(models)})",
        "type": "dataset",
    }


def table_fields(table: Table) -> list[dict[str, str]]:
    """Columns of a table: name, type and meaning."""
    return [
        {"name": name, "type": _TYPES.get(column.kind, "array"), "description": column.meaning}
        for name, column in table.columns.items()
    ]


def describe_file(path: Path, folder: Path, *, table: Table | None, rows: int | None) -> dict[str, Any]:
    """Entry of a file in the manifest, by the data package standard: path, bytes, sha256, columns.

    Args:
        table: that the file holds, with its number of rows; None for other files.
    """
    name = path.relative_to(folder).as_posix()
    entry = {
        "name": name.lower().replace("/", "-"),
        "path": name,
        "format": path.suffix.removeprefix(".") or "text",
        "mediatype": _MEDIA.get(path.suffix, "application/octet-stream" if path.suffix else "text/plain"),
        "bytes": path.stat().st_size,
        "hash": f"sha256:{sha256_of(path)}",
    }
    if table is None:
        return entry
    return {**entry, "table": table.name, "rows": rows, "schema": {"fields": table_fields(table)}}


def manifest(
    files: Iterable[Mapping[str, Any]], *, title: str, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest, a data package (datapackage.org)."""
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "steering-study-export",
        "title": title,
        "licenses": [{"name": "MIT", "path": "LICENSE"}],
        "provenance": dict(provenance),
        "resources": list(files),
    }


def checksums(folder: Path) -> str:
    """Lines that `sha256sum --check` reads, of every file in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
