"""Read and write what the rules make: Parquet tables, safetensors and JSON, each with its provenance.

Every table has a fixed schema (`table_schemas`). Every file is written under a temporary name beside its place and then renamed, so a
reader sees the whole of it or nothing. No time stamp enters a file: equal inputs give equal bytes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from steering_study.table_schemas import TABLES, table_schema

PROVENANCE_KEY = b"steering_study"


def write_table(
    path: Path, frame: pd.DataFrame, *, table: str, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a frame as the named table, columns in the schema's order.

    Raises:
        ValueError: if a column is missing, superfluous or of another type.
    """
    schema = table_schema(table)
    missing, extra = set(schema.names) - set(frame.columns), set(frame.columns) - set(schema.names)
    if missing or extra:
        raise ValueError(
            f"table {table!r} expects columns {schema.names}; missing {sorted(missing)}, extra {sorted(extra)}"
        )
    try:
        data = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"table {table!r}: {error}; see table_schemas.TABLES for the types") from error
    metadata = {b"table": table.encode(), PROVENANCE_KEY: canonical_json(provenance or {}).encode()}
    with replacing(path) as temporary:
        pq.write_table(data.replace_schema_metadata(metadata), temporary, compression="zstd")


def read_table(path: Path, *, table: str) -> pd.DataFrame:
    """Read a table and check that its columns are the schema's.

    Raises:
        ValueError: if the file cannot be read as Parquet or holds other columns.
    """
    try:
        data = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(
            f"{path} is not a readable Parquet file ({error}); delete it and run again"
        ) from error
    if data.schema.names != list(TABLES[table]):
        raise ValueError(
            f"{path} has columns {data.schema.names}, table {table!r} expects {list(TABLES[table])}; "
            "delete it and run again"
        )
    return data.to_pandas()


def table_of(path: Path) -> str:
    """Which table a file is, by what it says itself.

    Raises:
        ValueError: if it says nothing, or names a table that there is not.
    """
    name = (pq.read_schema(path).metadata or {}).get(b"table", b"").decode()
    if name not in TABLES:
        raise ValueError(
            f"{path} is table {name!r}, expected one of {', '.join(TABLES)}; delete it and run again"
        )
    return name


def read_provenance(path: Path) -> dict[str, Any]:
    """Provenance stored with a table or a tensor file."""
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="np") as file:
            return json.loads((file.metadata() or {}).get(PROVENANCE_KEY.decode(), "{}"))
    return json.loads((pq.read_schema(path).metadata or {}).get(PROVENANCE_KEY, b"{}"))


def rule_of(path: Path) -> str:
    """The rule that made a table or a tensor file, by its own word.

    Raises:
        ValueError: if it does not say.
    """
    rule = read_provenance(path).get("rule")
    if rule is None:
        raise ValueError(f"{path} does not say which rule made it; delete it and run again")
    return rule


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as text, each text that holds a carriage return in quotes: Python's own writer forgets them before 3.13."""
    texts = frame.select_dtypes(["object", "string"])
    has_return = any(texts[column].astype(str).str.contains("\r", regex=False).any() for column in texts)
    quoting = csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", quoting=quoting)


def write_tensors(
    path: Path, tensors: Mapping[str, Any], *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write named torch tensors as safetensors."""
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(contiguous, temporary, metadata={PROVENANCE_KEY.decode(): canonical_json(provenance or {})})


def write_arrays(
    path: Path, arrays: Mapping[str, Any], *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write named numpy arrays as safetensors, without torch."""
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        save_file(
            dict(arrays), temporary, metadata={PROVENANCE_KEY.decode(): canonical_json(provenance or {})}
        )


def read_tensors(path: Path) -> dict[str, Any]:
    """Read named torch tensors; NaN or infinity in one is refused.

    Raises:
        ValueError: if the file is corrupt or a value is not finite.
    """
    from safetensors.torch import load_file

    return _read_finite(path, load_file, lambda tensor: bool(tensor.isfinite().all()))


def read_arrays(path: Path) -> dict[str, Any]:
    """Read named tensors as numpy arrays, without torch; NaN or infinity in one is refused.

    Raises:
        ValueError: if the file is corrupt or a value is not finite.
    """
    import numpy as np
    from safetensors.numpy import load_file

    return _read_finite(path, load_file, lambda array: bool(np.isfinite(array).all()))


def _read_finite(
    path: Path, load: Callable[[Path], dict[str, Any]], is_finite: Callable[[Any], bool]
) -> dict[str, Any]:
    from safetensors import SafetensorError

    try:
        found = load(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}); delete it and run again"
        ) from error
    for name, value in found.items():
        if not is_finite(value):
            raise ValueError(f"{path}: tensor {name!r} holds NaN or infinity; delete the file and run again")
    return found


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); delete it and run again") from error


def canonical_json(value: Any) -> str:
    """One spelling of a value: sorted keys, no spaces, paths as strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, or of the sorted names and contents of a folder."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it into place on success, remove it on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
