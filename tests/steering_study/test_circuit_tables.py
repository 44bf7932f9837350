"""Circuits that the study evaluates, and the tables made of them, against sums worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.steering_study.circuit_frames import (
    GRAPH,
    INTERVAL,
    SETS,
    N,
    attribution,
    circuit_runs,
    circuit_summaries,
    rankings,
)

from steering_study.circuit_sets import (
    beside,
    curve,
    label_runs,
    own_ranking,
    pooled_scores,
    rank,
    rankings_table,
    read_rankings,
)
from steering_study.circuit_tables import (
    fit_interchange,
    minimum_size,
    sample_edges,
    summarise_completeness,
    summarise_faithfulness,
)
from steering_study.table_schemas import TABLES


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_pooling_divides_once_by_all_positions():
    scores = {"a": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.array([[10.0, 0.0]])}
    counts = {"a": np.array([1, 2]), "b": np.array([7])}
    every = {"a": np.array([True, True]), "b": np.array([True])}
    assert pooled_scores(scores, counts, every) == pytest.approx([1.4, 0.6])
    half = {"a": np.array([False, True]), "b": np.array([False])}
    assert pooled_scores(scores, counts, half) == pytest.approx([1.5, 2.0])


def test_pooling_nothing_is_refused():
    with pytest.raises(ValueError, match="agree at every"):
        pooled_scores({"a": np.zeros((1, 2))}, {"a": np.array([0])}, {"a": np.array([True])})


def test_every_ranking_is_made_and_read_back(rng):
    found = rankings("dim", rng)
    assert [(each.kind, each.metric, each.half) for each in found] == [
        ("own", "logit_difference", -1),
        ("own_signed", "logit_difference", -1),
        *[(name, "logit_difference", -1) for name in SETS],
        ("held_out", "logit_difference", 0),
        ("held_out", "logit_difference", 1),
        ("by_metric", "kl_1", -1),
    ]
    for before, after in zip(found, read_rankings(rankings_table(found)), strict=True):
        assert (before.kind, before.metric, before.half) == (after.kind, after.metric, after.half)
        assert (before.order == after.order).all()
        assert np.allclose(before.scores, after.scores)


def test_a_metric_without_positions_has_no_ranking(rng):
    table, arrays = attribution("dim", rng)
    table.loc[table["metric"] == "kl_1", "n_positions"] = 0
    assert "by_metric" not in {each.kind for each in rank(GRAPH, arrays, table)}


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


def runs_of(values):
    """Two responses of each test set, base 0 and steer 1 and 3: {size: (value of the first, of the second)}."""
    return pd.DataFrame(
        [
            {"kind": "own", "circuit_method": "dim", "metric": "logit_difference", "half": -1, "draw": 0, "nominal_edges": size,
             "n_edges": size, "dataset": dataset, "prompt_id": f"{dataset}-{i}", "value": value, "base": 0.0, "steer": steer,
             "n_positions": 1}
            for size, pair in values.items()
            for dataset in ("harmful", "harmless")
            for i, (value, steer) in enumerate(zip(pair, (1.0, 3.0), strict=True))
        ]
    )  # fmt: skip


def test_faithfulness_is_a_ratio_of_sums_beside_the_mean_of_ratios():
    table = summarise_faithfulness(
        runs_of({10: (1.0, 1.5), 20: (1.0, 3.0)}), method="dim", n_edges=20, threshold=0.85, **INTERVAL
    )
    first = table[(table["nominal_edges"] == 10) & (table["dataset"] == "harmful")].iloc[0]
    assert first["faithfulness"] == pytest.approx(2.5 / 4)
    assert first["mean_of_ratios"] == pytest.approx(0.75)
    assert first["low"] <= first["faithfulness"] <= first["high"]
    assert first["share_of_edges"] == 0.5
    assert set(table.loc[table["minimum"], "nominal_edges"]) == {20}


def test_minimum_size_is_the_first_that_reaches_the_threshold():
    runs = runs_of({10: (0.0, 1.0), 20: (1.0, 2.6), 40: (0.0, 0.0), 80: (1.0, 3.0)})
    assert minimum_size(runs, threshold=0.85) == 20
    assert minimum_size(runs, threshold=0.95) == 80
    with pytest.raises(ValueError, match="add 100"):
        minimum_size(runs.query("nominal_edges == 10"), threshold=0.85)


def test_a_test_set_without_an_effect_is_named_and_not_left_out_of_the_mean():
    runs = runs_of({10: (0.0, 1.0), 20: (1.0, 2.6)})
    still = runs["dataset"] == "harmful"
    runs.loc[still, "steer"] = runs.loc[still, "base"]
    with pytest.raises(
        ValueError, match=r"changes no prediction on the responses to harmful, .*leave the method out"
    ):
        minimum_size(runs, threshold=0.85)


def test_completeness_is_a_share_of_the_change():
    table = pd.DataFrame(
        {
            "method": "dim",
            "patching_set": "harmful_steer",
            "metric": "kl_0",
            "prompt_id": ["a", "b"],
            "half": [0, 1],
            "n_tokens": [5, 5],
            "n_positions": [2, 3],
            "change": [1.0, 4.0],
            "outgoing": [2.0, 3.5],
        }
    )
    (row,) = summarise_completeness(table).to_dict("records")
    assert row["residual_percent"] == pytest.approx(10)
    assert (row["change"], row["outgoing"]) == (pytest.approx(1.0), pytest.approx(1.1))


def test_sampled_edges_are_of_every_kind(rng):
    found = sample_edges(GRAPH, 2, rng=rng)
    single = [each for each in found if each.src != "all"]
    assert all(each.mask.sum() == 1 for each in single)
    kinds = {(each.src_kind, each.dst_kind) for each in single}
    assert len(kinds) == 15
    assert {each.dst_kind for each in found if each.src == "all"} == {*GRAPH.dst_kinds, "attn_qk"}
    qk = next(each for each in found if each.dst_kind == "attn_qk")
    assert qk.mask.sum() == GRAPH.census()["dst"]["attn_q"] + GRAPH.census()["dst"]["attn_k"]


def test_fit_of_exact_scores_is_perfect():
    table = pd.DataFrame(
        {
            "method": "dim",
            "src": ["m2", "m2", "a2.h0", "all"],
            "dst_kind": ["mlp", "mlp", "mlp", "attn_q"],
            "score": [1.0, 2.0, -1.0, 9.0],
            "effect": [2.0, 4.0, -2.0, 0.0],
        }
    )
    fit = fit_interchange(table).set_index("dst_kind")
    assert fit.loc["all", "spearman"] == pytest.approx(1)
    assert fit.loc["all", "slope"] == pytest.approx(2)
    assert fit.loc["all", "n"] == 3


def test_every_summary_has_the_columns_of_its_table():
    for name, table in circuit_summaries(("dim", "ntp")).items():
        assert set(table.columns) == set(TABLES[name]), name


def test_shares_of_each_end_add_up():
    shares = circuit_summaries(("dim",))["edge_shares"]
    assert np.allclose(shares.groupby(["scope", "end"])["percent"].sum(), 100)


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
    assert set(table.columns) == set(TABLES["circuit_runs"])
    assert len(table) == 2 * N
    assert set(table["nominal_edges"]) == {5, 20}
