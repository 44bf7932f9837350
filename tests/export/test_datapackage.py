"""The exported folder describes itself: lists, citation, fields, checksums."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.conftest import REPOSITORY

from steering_study.export.datapackage import checksums, citation, describe_file, readable, table_fields
from steering_study.export.tables import TABLES
from steering_study.vectors.schemas import COSINE


def test_lists_are_json_in_csv():
    frame = pd.DataFrame(
        {
            "tokens": [[" a", 'b"'], []],
            "dimensions": [np.array([3, 17]), np.array([], dtype=int)],
            "n": [1, 2],
        }
    )
    shown = readable(frame)
    assert [json.loads(text) for text in shown["tokens"]] == [[" a", 'b"'], []]
    assert list(shown["dimensions"]) == ["[3, 17]", "[]"]
    assert shown["n"].equals(frame["n"])


def test_citation_is_of_a_data_set_and_keeps_the_paper():
    software = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    cited = citation(software, models=["a", "b"])
    assert cited["type"] == "dataset"
    assert "a, b" in cited["title"]
    assert cited["references"] == software["references"]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_fields_of_a_table_have_types_of_the_standard_and_meanings(table):
    fields = table_fields(table)
    assert [field["name"] for field in fields] == table.names
    assert {field["type"] for field in fields} <= {"string", "integer", "number", "boolean", "array"}
    assert [field["description"] for field in fields] == [each.meaning for each in table.columns.values()]


def test_manifest_and_checksums_describe_a_file(tmp_path):
    file = tmp_path / "tables" / "cosine.csv"
    file.parent.mkdir()
    file.write_text("method_a,method_b,cosine\n", "utf-8")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    entry = describe_file(file, tmp_path, table=COSINE, rows=0)
    assert (entry["path"], entry["bytes"], entry["hash"]) == ("tables/cosine.csv", 25, f"sha256:{digest}")
    assert [field["type"] for field in entry["schema"]["fields"]] == ["string", "string", "number"]
    assert checksums(tmp_path) == f"{digest}  tables/cosine.csv\n"
