"""Samples of edges, and how well scores fit their exact effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.circuits.frames import GRAPH

from steering_study.circuits.interchange import fit_interchange, sample_edges


@pytest.fixture
def rng():
    return np.random.default_rng(0)


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
