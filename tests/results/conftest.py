"""Real artifacts of a finished study, one model at a time. Run by the rule check_results, not by `make test`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from steering_study.export.tables import TABLES
from steering_study.store.artifacts import read_json, read_table

ROOT = Path(os.environ.get("STEERING_STUDY_RESULTS", "results"))
MODELS = [name for name in os.environ.get("STEERING_STUDY_MODELS", "").split(",") if name]
METHODS = [name for name in os.environ.get("STEERING_STUDY_METHODS", "").split(",") if name]
CIRCUIT_METHODS = [name for name in os.environ.get("STEERING_STUDY_CIRCUIT_METHODS", "").split(",") if name]
ATTENTION_METHODS = [
    name for name in os.environ.get("STEERING_STUDY_ATTENTION_METHODS", "").split(",") if name
]
SPARSE_METHODS = [name for name in os.environ.get("STEERING_STUDY_SPARSE_METHODS", "").split(",") if name]


@dataclass(frozen=True)
class Results:
    """Folder of one model's results."""

    model: str

    @property
    def folder(self) -> Path:
        return ROOT / self.model

    @property
    def is_float32(self) -> bool:
        """Whether sums round far below the tolerances; half precision has its own."""
        return self.json("model.json")["dtype"] == "float32"

    def table(self, path: str, *, table: str) -> pd.DataFrame:
        return read_table(self.folder / path, TABLES[table])

    def json(self, path: str):
        return read_json(self.folder / path)


@pytest.fixture(params=MODELS)
def results(request: pytest.FixtureRequest) -> Results:
    return Results(request.param)


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Nothing to test where no study is named."""
    return True if not MODELS else None
