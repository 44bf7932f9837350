"""Texts of equal vectors are written once, and stand under every setting."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "workflow/scripts/sparsity/generate_sparse.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_text_is_asked_for_once_and_each_request_finds_it(script):
    rows = [("a", 1.0, 0), ("b", 1.0, 0), ("a", 1.0, 1), ("a", 2.0, 1), ("b", 1.0, 2)]
    requests = pd.DataFrame(rows, columns=["prompt_id", "coefficient", "setting"]).assign(condition="induce")
    once, number = script.same_texts(requests, first=[0, 0, 2])  # setting 1 is the vector of 0
    assert list(zip(once["prompt_id"], once["coefficient"], once["setting"], strict=True)) == [
        ("a", 1.0, 0),
        ("b", 1.0, 0),
        ("a", 2.0, 1),
        ("b", 1.0, 2),
    ]
    assert number == [0, 1, 0, 2, 3]
    everything, each = script.same_texts(requests, first=[0, 1, 2])
    assert everything.equals(requests)
    assert each == [0, 1, 2, 3, 4]
