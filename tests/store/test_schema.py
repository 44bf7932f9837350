"""What a table is: its Arrow schema follows from its columns, and every column says what it means."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.tables import TABLES

from steering_study.store.schema import Table, by_name, integer, integers, number, string

POINTS = Table(
    "points", {"name": string("of it"), "n": integer("hits"), "x": number("cm"), "of": integers("ids")}
)


def test_columns_become_arrow_fields_in_order():
    assert POINTS.schema == pa.schema(
        [("name", pa.string()), ("n", pa.int64()), ("x", pa.float64()), ("of", pa.list_(pa.int64()))]
    )
    assert POINTS.names == list(POINTS.kinds) == ["name", "n", "x", "of"]
    assert by_name(POINTS) == {"points": POINTS}


@pytest.mark.parametrize("name", TABLES)
def test_every_column_of_the_study_says_what_it_means(name):
    table = TABLES[name]
    assert table.name == name
    assert table.schema.names == table.names
    assert all(len(column.meaning.split()) >= 1 for column in table.columns.values())
    assert not [
        column.meaning for column in table.columns.values() if column.meaning != column.meaning.strip()
    ]
