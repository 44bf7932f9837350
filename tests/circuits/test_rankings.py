"""Rankings and sets of edges."""

from __future__ import annotations

import numpy as np
import pytest
from tests.circuits.frames import GRAPH, SETS, attribution, rankings

from steering_study.circuits.rankings import pooled_scores, rank, rank_edges, rankings_table, read_rankings


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=(GRAPH.n_src, GRAPH.n_dst)) * GRAPH.edge_mask


def test_signed_ranking_puts_negative_edges_last():
    scores = np.where(GRAPH.edge_mask, 1.0, 0.0)
    src, dst = GRAPH.edges
    scores[src[3], dst[3]] = -5.0
    assert rank_edges(GRAPH, scores, signed=True)[3] == GRAPH.n_edges - 1
    assert rank_edges(GRAPH, scores, signed=False)[3] == 0


def test_nan_in_scores_is_refused(scores):
    scores[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        rank_edges(GRAPH, scores, signed=False)


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
