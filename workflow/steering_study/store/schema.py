"""What a table is: a name and columns in a fixed order, each with its type and meaning. Stages list theirs in `schemas.py`.

One observation is a row. Nullable columns hold None where a value does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

_ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "list<string>": pa.list_(pa.string()),
    "list<int64>": pa.list_(pa.int64()),
    "list<float64>": pa.list_(pa.float64()),
}


@dataclass(frozen=True)
class Column:
    """A column: its type in Arrow's words, and what it means.

    The meaning is for readers: a digest of code leaves it out (`study.digest`).
    """

    kind: str
    meaning: str


@dataclass(frozen=True, eq=False)
class Table:
    """A table, by the name that its files give of themselves."""

    name: str
    columns: Mapping[str, Column]

    @property
    def names(self) -> list[str]:
        """Its columns, in order."""
        return list(self.columns)

    @property
    def kinds(self) -> dict[str, str]:
        """The type of each column."""
        return {name: column.kind for name, column in self.columns.items()}

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema([(name, _ARROW[kind]) for name, kind in self.kinds.items()])


def by_name(*tables: Table) -> dict[str, Table]:
    """Tables by their names."""
    return {table.name: table for table in tables}


def string(meaning: str) -> Column:
    """A column of texts or names."""
    return Column("string", meaning)


def integer(meaning: str) -> Column:
    """A column of counts or numbers of things."""
    return Column("int64", meaning)


def number(meaning: str) -> Column:
    """A column of measurements; NaN where one does not apply."""
    return Column("float64", meaning)


def boolean(meaning: str) -> Column:
    """A column of yes and no."""
    return Column("bool", meaning)


def strings(meaning: str) -> Column:
    """A column of lists of texts."""
    return Column("list<string>", meaning)


def integers(meaning: str) -> Column:
    """A column of lists of counts or numbers of things."""
    return Column("list<int64>", meaning)


def numbers(meaning: str) -> Column:
    """A column of lists of measurements."""
    return Column("list<float64>", meaning)
