"""The comparison of two studies sees values and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from steering_study.store.artifacts import write_arrays, write_table
from steering_study.vectors.schemas import COSINE
from tests.workflow.contents import contents, moved

FRAME = pd.DataFrame({"method_a": ["dim"], "method_b": ["po"], "cosine": [0.5]})


@pytest.fixture
def study(tmp_path):
    """Make a study of one table and one file of tensors."""

    def make(
        name: str, *, cosine: float = 0.5, entry: float = 1.0, rule: str = "compare_vectors"
    ) -> dict[str, str]:
        provenance = {"rule": rule}
        write_table(
            tmp_path / name / "m/cosine.parquet", FRAME.assign(cosine=cosine), COSINE, provenance=provenance
        )
        write_arrays(
            tmp_path / name / "m/v.safetensors", {"vector": np.full(3, entry)}, provenance=provenance
        )
        return contents(tmp_path / name)

    return make


def test_provenance_is_no_content(study):
    assert study("a") == study("b", rule="another")
    assert sorted(study("a")) == ["m/cosine.parquet", "m/v.safetensors"]


@pytest.mark.parametrize("change", [{"cosine": 0.5 + 1e-15}, {"entry": 1 + 1e-15}])
def test_a_last_bit_is_seen(study, change):
    before, after = study("a"), study("b", **change)
    assert sum(before[path] != after[path] for path in before) == 1


def test_lists_and_missing_values_are_content(tmp_path):
    for name, column in (("a", [[1, 2], None]), ("b", [[1, 2], [2]]), ("c", [[1, 2], None])):
        (tmp_path / name).mkdir()
        pd.DataFrame({"ids": column}).to_parquet(tmp_path / name / "t.parquet")
    a, b, c = (contents(tmp_path / name)["t.parquet"] for name in "abc")
    assert a == c != b


def test_a_file_that_lies_elsewhere_now_is_followed():
    moves = ["{}/frozen/settings.parquet={}/frozen/frozen_settings.parquet"]
    assert moved("m/dim/frozen/settings.parquet", moves) == "m/dim/frozen/frozen_settings.parquet"
    assert moved("m/asr.parquet", moves) == "m/asr.parquet"
