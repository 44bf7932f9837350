import numpy as np
import pandas as pd
import pytest
import torch
from tests.report.run_jobs import job

from steering_study.report.run.files import file_table, find_seeds
from steering_study.report.run.jobs import read_jobs
from steering_study.store.artifacts import sha256_of, write_json, write_table, write_tensors
from steering_study.vectors.schemas import COSINE

COSINES = pd.DataFrame({"method_a": ["dim"] * 3, "method_b": ["po"] * 3, "cosine": np.ones(3)})


@pytest.fixture
def files(tmp_path):
    """A vector, a table that names it as input, a table by other means, a card and a figure's numbers."""
    vector, table = tmp_path / "results/m/vector.safetensors", tmp_path / "results/m/cosine.parquet"
    params = {"code": "c0de", "trials": [{"seed": 42}, {"seed": 5}]}
    made = {"rule": "train", "params": params, "wildcards": {"model": "m"}, "inputs": {}}
    write_tensors(vector, {"vector": torch.ones(4)}, provenance=made)
    inputs = {"results/m/vector.safetensors": sha256_of(vector), "gone.py": "0" * 64}
    made = {"rule": "compare", "params": {"code": "d1ce"}, "wildcards": {"model": "m"}, "inputs": inputs}
    write_table(table, COSINES, COSINE, provenance=made)
    write_table(tmp_path / "results/m/stray.parquet", COSINES, COSINE)
    write_json(tmp_path / "results/m/model.json", {"name": "m"})
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/a.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "results/m/not_planned.json").write_text("{}")
    (tmp_path / "results/export/tables").mkdir(parents=True)
    (tmp_path / "results/export/.snakemake_timestamp").touch()
    (tmp_path / "results/export/tables/b.csv").write_text("x\n1\n")
    jobs = read_jobs(
        [
            job("train", "results/m/vector.safetensors", model="m"),
            job("compare", "results/m/cosine.parquet results/m/missing.parquet", model="m"),
            job("stray", "results/m/stray.parquet", model="m"),
            job("resolve", "results/m/model.json", model="m"),
            job("draw", "reports/a.csv"),
            job("export", "results/export"),
        ]
    )
    return file_table(jobs, tmp_path, revisions={"m": "abc"}).set_index("path"), tmp_path


def test_files_of_the_plan_that_exist_are_listed_results_first(files):
    assert list(files[0].index) == [
        "results/export/tables/b.csv",
        "results/m/cosine.parquet",
        "results/m/model.json",
        "results/m/stray.parquet",
        "results/m/vector.safetensors",
        "reports/a.csv",
    ]


def test_what_a_file_carries(files):
    row = files[0].loc["results/m/vector.safetensors"]
    assert (row["rule"], row["known_from"], row["code"], row["seed"]) == ("train", "file", "c0de", "42, 5")
    assert (row["revision"], row["count"], row["unit"]) == ("abc", 1, "tensors")
    path = files[1] / "results/m/vector.safetensors"
    assert (row["bytes"], row["sha256"]) == (path.stat().st_size, sha256_of(path))


def test_inputs_that_are_other_files_by_now_are_counted(files):
    row = files[0].loc["results/m/cosine.parquet"]
    assert (row["inputs"], row["changed"], row["count"]) == (2, 1, 3)


def test_a_file_without_provenance_is_listed_as_such(files):
    table = files[0]
    paths = ["results/m/stray.parquet", "results/m/model.json", "reports/a.csv"]
    assert list(table.loc[paths, "known_from"]) == ["missing", "plan", "plan"]
    assert list(table.loc["reports/a.csv", ["rule", "revision", "count", "unit"]]) == ["draw", "", 2, "rows"]
    assert table.loc["results/m/model.json", "count"] == -1


def test_seeds_are_found_wherever_they_stand():
    config = {"seed": 1, "a": {"seeds": [2, 3], "b": [{"seed": 4}], "seedling": 5}}
    assert find_seeds(config) == [("seed", 1), ("a.seeds", 2), ("a.seeds", 3), ("a.b.seed", 4)]
