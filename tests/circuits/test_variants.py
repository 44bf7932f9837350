"""Circuits that stand beside a method's own, and what they are called in the tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.circuits.frames import GRAPH, N, circuit_runs, rankings

from steering_study.circuits.rankings import own_ranking
from steering_study.circuits.schemas import CIRCUIT_RUNS
from steering_study.circuits.variants import beside, curve, label_runs


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_what_stands_beside_a_circuit(rng):
    found = {method: own_ranking(rankings(method, rng)) for method in ("dim", "ntp")}
    circuit = curve(GRAPH, found["dim"], "dim", [20])[0].mask
    others = {each.kind: each.mask for each in beside(GRAPH, found, "dim", 20, draws=2, rng=rng)}
    assert (others["complement"] ^ circuit == GRAPH.edge_mask).all()
    assert others["random"].sum() == 40
    assert (others["interchanged"] == curve(GRAPH, found["ntp"], "ntp", [20])[0].mask).all()
    into_keys = GRAPH.edge_mask & (GRAPH.dst_kinds == "attn_k")
    assert (others["without_k"] == (GRAPH.edge_mask & ~into_keys)).all()
    assert (others["without_qk"] <= others["without_k"]).all()


def test_a_circuit_is_not_judged_on_the_half_it_was_found_on(rng):
    runs = circuit_runs({"dim": rankings("dim", rng)}, "dim", rng)
    held_out = runs[runs["kind"] == "held_out"]
    judged = held_out["prompt_id"].str[-1].astype(int) % 2
    assert (judged != held_out["half"]).all()
    assert len(runs[runs["kind"] == "own"]) == len(
        held_out
    )  # two circuits a size, each on half of the responses


def test_label_runs_keeps_one_row_a_circuit_and_response(rng):
    circuits = curve(GRAPH, own_ranking(rankings("dim", rng)), "dim", [5, 20])
    measured = pd.DataFrame(
        [
            {"row": r, "circuit": c, "value": 0.0, "base": 0.0, "steer": 1.0, "n_positions": 1}
            for c in (0, 1)
            for r in range(N)
        ]
    )
    responses = pd.DataFrame({"dataset": "harmful", "prompt_id": [f"p{i}" for i in range(N)], "half": 0})
    table = label_runs(circuits, measured, responses)
    assert set(table.columns) == set(CIRCUIT_RUNS.names)
    assert len(table) == 2 * N
    assert set(table["nominal_edges"]) == {5, 20}
