"""What must hold between the tables of circuits, whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest

from steering_study.store.artifacts import read_provenance
from tests.results.conftest import CIRCUIT_METHODS


@pytest.fixture(params=CIRCUIT_METHODS)
def circuit_method(request):
    return request.param


def test_whole_graph_carries_all_of_steering(results, circuit_method):
    table = results.table("faithfulness.parquet", table="faithfulness")
    own = table[(table["vector_method"] == circuit_method) & (table["kind"] == "own")]
    whole = own[own["share_of_edges"] == 1]
    assert len(whole) == own["dataset"].nunique()
    # one and the same computation in float32; in half precision two orders of sums
    assert np.allclose(whole["faithfulness"], 1, atol=1e-3 if results.is_float32 else 0.05)


def test_circuits_have_the_size_asked_for(results, circuit_method):
    runs = results.table(f"{circuit_method}/circuit_runs.parquet", table="circuit_runs")
    assert (runs["n_edges"] == runs["nominal_edges"]).all()


def test_minimum_faithful_circuit_is_faithful(results, circuit_method):
    table = results.table("faithfulness.parquet", table="faithfulness")
    smallest = table[(table["vector_method"] == circuit_method) & table["minimum"]]
    threshold = read_provenance(results.folder / "faithfulness.parquet")["params"]["threshold"]
    assert smallest["faithfulness"].mean() >= threshold - 1e-6


def test_census_counts_every_edge_once_at_each_end(results, circuit_method):
    census = results.table("edge_census.parquet", table="edge_census").groupby("end")["edges"].sum()
    rankings = results.table(f"{circuit_method}/rankings.parquet", table="rankings")
    n_edges = rankings[rankings["kind"] == "own"]["edge"].nunique()
    assert census["in"] == census["out"] == n_edges


def test_circuits_rest_on_flipped_prompts(results, circuit_method):
    base = results.table("none/base/verdicts.parquet", table="verdicts").set_index("prompt_id")
    steered = results.table(f"{circuit_method}/test/verdicts.parquet", table="verdicts")
    attribution = results.table(f"{circuit_method}/attribution.parquet", table="attribution")
    for label, condition, refused in (("harmful", "bypass", False), ("harmless", "induce", True)):
        ids = attribution.loc[attribution["patching_set"].str.startswith(f"{label}_"), "prompt_id"].unique()
        after = steered[steered["condition"] == condition].set_index("prompt_id").loc[ids]
        assert (after["refused"] == refused).all()
        assert (base.loc[ids, "refused"] != refused).all()
        assert not after["degenerate"].any()


def test_texts_of_every_carrier_answer_the_same_prompts(results):
    text = results.table("circuit_asr.parquet", table="circuit_asr")
    assert set(text["carrier"]) == {"none", "circuit", "complement", "all"}
    counts = text.groupby(["method", "dataset"])["n"].nunique()
    assert (counts == 1).all()
