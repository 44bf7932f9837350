"""Read and write what the rules make: Parquet tables, safetensors and JSON, each with its provenance.

Every table has a fixed schema (`schema.Table`). Every file is written under a temporary name beside its place and then renamed, so a
reader sees the whole of it or nothing. Tables and tensors carry checksums of their content, so that a damaged file is refused and never
read as other numbers. No time stamp enters a file: equal inputs give equal bytes.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from steering_study.store.schema import Table

PROVENANCE_KEY = b"steering_study"
DIGEST_KEY = (
    "tensors_sha256"  # beside the provenance: over names, types, shapes and bytes of a file's tensors
)


def write_table(
    path: Path, frame: pd.DataFrame, table: Table, *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a frame as a table, columns in its order.

    Raises:
        ValueError: if a column is missing, superfluous or of another type.
    """
    schema = table.schema
    missing, extra = set(schema.names) - set(frame.columns), set(frame.columns) - set(schema.names)
    if missing or extra:
        raise ValueError(
            f"table {table.name!r} expects columns {schema.names}; missing {sorted(missing)}, extra {sorted(extra)}"
        )
    try:
        data = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"table {table.name!r}: {error}; its stage's schemas.py has the types") from error
    metadata = {b"table": table.name.encode(), PROVENANCE_KEY: canonical_json(provenance or {}).encode()}
    with replacing(path) as temporary:
        pq.write_table(
            data.replace_schema_metadata(metadata), temporary, compression="zstd", write_page_checksum=True
        )


def read_table(path: Path, table: Table) -> pd.DataFrame:
    """Read a table and check its columns.

    Raises:
        ValueError: if the file cannot be read as Parquet or holds other columns or types.
    """
    with _readable(path, "Parquet", pa.ArrowInvalid):
        data = pq.read_table(path, page_checksum_verification=True)
    wanted = table.schema
    if not data.schema.equals(wanted):
        raise ValueError(
            f"{path} has columns {_columns(data.schema)}, table {table.name!r} expects {_columns(wanted)}; "
            "delete it and run again"
        )
    return data.to_pandas()


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)


def table_of(path: Path, tables: Mapping[str, Table]) -> Table:
    """Which table a file is, by what it says itself.

    Args:
        tables: those that it may be, by name.

    Raises:
        ValueError: if it cannot be read, says nothing, or names none of them.
    """
    name = _table_metadata(path).get(b"table", b"").decode()
    if name not in tables:
        raise ValueError(
            f"{path} is table {name!r}, expected one of {', '.join(tables)}; delete it and run again"
        )
    return tables[name]


def read_provenance(path: Path) -> dict[str, Any]:
    """Provenance stored with a table or a tensor file.

    Raises:
        ValueError: if the file cannot be read.
    """
    if path.suffix == ".safetensors":
        return {key: value for key, value in _tensor_metadata(path).items() if key != DIGEST_KEY}
    return json.loads(_table_metadata(path).get(PROVENANCE_KEY, b"{}"))


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
    _write_safetensors(path, contiguous, save_file, _tensor_bytes, provenance)


def write_arrays(
    path: Path, arrays: Mapping[str, Any], *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write named numpy arrays as safetensors, without torch."""
    from safetensors.numpy import save_file

    _write_safetensors(path, dict(arrays), save_file, _array_bytes, provenance)


def _write_safetensors(
    path: Path,
    values: dict[str, Any],
    save: Callable[..., None],
    bytes_of: Callable[[Any], Any],
    provenance: Mapping[str, Any] | None,
) -> None:
    from safetensors import SafetensorError

    # one key: safetensors writes several in another order each time
    digest = {DIGEST_KEY: _content_digest(values, bytes_of)}
    metadata = {PROVENANCE_KEY.decode(): canonical_json({**(provenance or {}), **digest})}
    with replacing(path) as temporary:
        try:
            save(values, temporary, metadata=metadata)
        except SafetensorError as error:  # says what the system said in words alone: `... (os error 28)`
            found = re.search(r"\(os error (\d+)\)", str(error))
            if found is None:
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


def read_tensors(path: Path, *, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Read named torch tensors; NaN or infinity in one is refused.

    Args:
        names: the tensors that the file should hold, and no others, as nobody would read those.

    Raises:
        ValueError: if the file is corrupt, a value is not finite, or the names are others.
    """
    from safetensors.torch import load_file

    found = _read_finite(path, load_file, _tensor_bytes, lambda tensor: bool(tensor.isfinite().all()))
    return _named(path, found, names)


def read_arrays(path: Path, *, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Read named tensors as numpy arrays, without torch; as `read_tensors` otherwise.

    Raises:
        ValueError: if the file is corrupt, a value is not finite, or the names are others.
    """
    import numpy as np
    from safetensors.numpy import load_file

    found = _read_finite(path, load_file, _array_bytes, lambda array: bool(np.isfinite(array).all()))
    return _named(path, found, names)


def _named(path: Path, found: dict[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    if names is not None and set(found) != set(names):
        raise ValueError(
            f"{path} holds tensors {', '.join(sorted(found))}, expected {', '.join(sorted(names))} and no others; delete it and run again"
        )
    return found


def _read_finite(
    path: Path,
    load: Callable[[Path], dict[str, Any]],
    bytes_of: Callable[[Any], Any],
    is_finite: Callable[[Any], bool],
) -> dict[str, Any]:
    from safetensors import SafetensorError

    with _readable(path, "safetensors", SafetensorError):
        found = load(path)
    if _tensor_metadata(path).get(DIGEST_KEY) != _content_digest(found, bytes_of):
        raise ValueError(
            f"{path} holds other tensors than those that were written to it; delete it and run again"
        )
    for name, value in found.items():
        if not is_finite(value):
            raise ValueError(f"{path}: tensor {name!r} holds NaN or infinity; delete the file and run again")
    return found


def _content_digest(values: Mapping[str, Any], bytes_of: Callable[[Any], Any]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(values.items()):
        kind = str(value.dtype).removeprefix("torch.")
        digest.update(f"{name} {kind} {list(value.shape)}\n".encode())
        digest.update(bytes_of(value))
    return digest.hexdigest()


def _tensor_bytes(tensor: Any) -> Any:
    import torch

    return tensor.reshape(-1).view(torch.uint8).numpy()


def _array_bytes(array: Any) -> Any:
    return array.tobytes()


def _tensor_metadata(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError, safe_open

    unreadable = _readable(path, "safetensors", SafetensorError, json.JSONDecodeError)
    with unreadable, safe_open(path, framework="np") as file:
        return json.loads((file.metadata() or {}).get(PROVENANCE_KEY.decode(), "{}"))


def _table_metadata(path: Path) -> Mapping[bytes, bytes]:
    with _readable(path, "Parquet", pa.ArrowInvalid):
        return pq.read_schema(path).metadata or {}


@contextmanager
def _readable(path: Path, kind: str, *errors: type[Exception]) -> Iterator[None]:
    """Say of a file that a reader fails on which it is, and what to do."""
    try:
        yield
    except (*errors, OSError) as error:
        raise ValueError(
            f"{path} is not a readable {kind} file ({error}); delete it and run again"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
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
    """Give a temporary name beside `path`; rename it into place on success, remove it on failure.

    What a killed job left under such a name goes first.

    Raises:
        OSError: if the disk does not take the file; it names the file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*"):
            left.unlink(missing_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
