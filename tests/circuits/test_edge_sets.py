"""Sets of edges: random ones, and how much two share."""

from __future__ import annotations

import numpy as np
import pytest

from steering_study.circuits.edge_sets import chance_overlap, edge_set, overlap, random_circuits
from steering_study.circuits.graph import Graph
from steering_study.circuits.rankings import rank_edges

GRAPH = Graph(4, 1, 4, 2)


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=(GRAPH.n_src, GRAPH.n_dst)) * GRAPH.edge_mask


@pytest.mark.parametrize("size", [-1, GRAPH.n_edges + 1])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ValueError, match="outside"):
        random_circuits(GRAPH, size, draws=1, rng=np.random.default_rng(0))


def test_random_circuits_have_the_size_and_differ():
    draws = random_circuits(GRAPH, 30, draws=4, rng=np.random.default_rng(1))
    assert (draws.sum((1, 2)) == 30).all()
    assert not (draws & ~GRAPH.edge_mask).any()
    assert len({mask.tobytes() for mask in draws}) == 4


def test_overlap_is_symmetric_and_one_with_itself(scores):
    by_rank = np.argsort(rank_edges(GRAPH, scores, signed=False))
    small, large = (edge_set(GRAPH, by_rank[:n]) for n in (20, 60))
    other = random_circuits(GRAPH, 40, draws=1, rng=np.random.default_rng(0))[0]
    assert overlap(small, small) == 1
    assert overlap(small, large) == 1  # nested
    assert overlap(small, other) == overlap(other, small) < 1
    assert np.isnan(overlap(small, np.zeros_like(small)))


def test_chance_overlap_is_that_of_many_random_pairs():
    rng = np.random.default_rng(0)
    first = random_circuits(GRAPH, 30, draws=200, rng=rng)
    second = random_circuits(GRAPH, 90, draws=200, rng=rng)
    found = np.mean([overlap(a, b) for a, b in zip(first, second, strict=True)])
    # 200 draws of a hypergeometric share over 30 edges: standard error below 0.007
    assert abs(found - chance_overlap(first[0], second[0], n_edges=GRAPH.n_edges)) < 0.03


@pytest.fixture
def rng():
    return np.random.default_rng(0)
