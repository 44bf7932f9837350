"""Records of a raw file: CSV, JSON list, JSONL or plain text, one text field and what else is asked for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any


def read_records(
    path: Path,
    *,
    text: str,
    columns: Sequence[str],
    remedy: str = "name the right one in the prompt source",
) -> list[tuple[int, dict[str, Any]]]:
    """Read the prompt field `text` and other fields of a CSV, JSON list, JSONL or TXT file.

    A TXT file, and a JSON list of strings, has nothing but prompts. Each record comes with its number from 0
    (in JSONL and TXT that of its line; blank lines are passed over). `remedy` says what to do where a field is missing.

    Raises:
        ValueError: if the extension is unknown, the file is empty, not UTF-8 or malformed, a column or a key is there
            twice, or a record lacks a field or has no text.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise ValueError(
            f"{path} ends in {suffix!r}, expected one of {', '.join(_READERS)}; convert the file"
        )
    records = []
    for number, record in _READERS[suffix](_read_utf8(path), path):
        record = {text: record} if isinstance(record, str) else record
        for column in (text, *columns):
            if column not in record:
                raise ValueError(
                    f"{path}: record {number} has no field {column!r}, it has {list(record)}; {remedy}"
                )
        if not isinstance(record[text], str) or not record[text].strip():
            raise ValueError(
                f"{path}: record {number} has {text} = {record[text]!r}, expected a text; fill it in or delete the record"
            )
        records.append((number, record))
    if not records:
        raise ValueError(f"{path} is empty, expected at least one prompt; check that it is the right file")
    return records


def _read_utf8(path: Path) -> str:
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column name
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = error.object[error.start]
        raise ValueError(
            f"{path} is not UTF-8 text (byte {error.start} is {found:#04x}); save it as UTF-8"
        ) from error


def _read_csv(content: str, path: Path) -> Iterator[tuple[int, Any]]:
    # csv and not pandas, which shifts the columns silently at an unquoted comma
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    try:
        # spreadsheets leave columns without a name behind the others; nobody reads those
        named = [name for name in reader.fieldnames or [] if name.strip()]
        if (twice := _repeated(named)) is not None:
            raise ValueError(
                f"{path}: the header has column {twice!r} more than once, and only one can be read; rename or remove the others"
            )
        for number, record in enumerate(reader):
            if None in record or None in record.values():
                raise ValueError(
                    f"{path}: record {number} does not have the {len(reader.fieldnames or [])} fields of the header; "
                    "put texts with commas in double quotes"
                )
            yield number, record
    except csv.Error as error:
        raise ValueError(f"{path}: line {reader.line_num} is not valid CSV ({error}); repair it") from error


def _read_json(content: str, path: Path) -> Iterator[tuple[int, Any]]:
    records = _parse_json(content.strip() or "[]", str(path))
    if not isinstance(records, list):
        raise ValueError(f"{path} holds a JSON {type(records).__name__}, expected a list; rewrite it as one")
    yield from (
        (number, _require_record(record, f"{path}: record {number}")) for number, record in enumerate(records)
    )


def _read_jsonl(content: str, path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in _read_txt(content, path):
        where = f"{path}: line {number + 1}"
        yield number, _require_record(_parse_json(line, where), where)


def _read_txt(content: str, path: Path) -> Iterator[tuple[int, Any]]:
    # str.splitlines would also break at U+2028, which a JSON string may hold
    yield from ((number, line) for number, line in enumerate(content.split("\n")) if line.strip())


def _parse_json(content: str, where: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if (twice := _repeated([key for key, _ in pairs])) is not None:
            raise ValueError(
                f"{where}: a record has key {twice!r} more than once, and only one can be read; rename or remove the others"
            )
        return dict(pairs)

    try:
        return json.loads(content, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not valid JSON ({error}); repair it") from error


def _repeated(names: Sequence[str]) -> str | None:
    """The first name that is there more than once."""
    return next((name for i, name in enumerate(names) if name in names[:i]), None)


def _require_record(record: Any, where: str) -> Any:
    if not isinstance(record, dict | str):
        raise ValueError(f"{where} is a {type(record).__name__}, expected an object or a string; rewrite it")
    return record


_READERS: dict[str, Callable[[str, Path], Iterator[tuple[int, Any]]]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".txt": _read_txt,
}
