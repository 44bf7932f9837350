"""Circuits have the sizes asked for, every edge on a path, and follow the ranking."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.reference.live_edges import live_edges

from steering_study.circuits.edge_sets import edge_set
from steering_study.circuits.graph import Graph
from steering_study.circuits.nesting import circuits_of, path_order
from steering_study.circuits.rankings import rank_edges, ranked_circuits

# One block; all heads on one pair of keys and values; keys and values of their own; groups of two; two blocks and odd heads
GRAPHS = [Graph(2, 1, 1, 1), Graph(3, 1, 4, 1), Graph(3, 1, 4, 4), Graph(4, 1, 4, 2), Graph(3, 0, 3, 1)]
SEEDS = range(3)


def scores_of(graph, seed):
    return np.random.default_rng(seed).normal(size=(graph.n_src, graph.n_dst)) * graph.edge_mask


def order_of(graph, scores, *, signed=False):
    return path_order(graph, rank_edges(graph, scores, signed=signed))


@pytest.mark.parametrize("graph", GRAPHS, ids=str)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("signed", [False, True])
def test_every_size_is_reached_with_edges_that_all_live(graph, seed, signed):
    sizes = range(graph.n_edges + 1)
    masks = ranked_circuits(graph, scores_of(graph, seed), sizes, signed=signed)
    assert [int(mask.sum()) for mask in masks] == list(sizes)
    assert all((live_edges(graph, mask) == mask).all() for mask in masks)


@pytest.mark.parametrize("graph", GRAPHS, ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_where_the_top_of_the_ranking_prunes_to_a_size_that_is_its_circuit(graph, seed):
    scores = scores_of(graph, seed)
    by_rank = np.argsort(rank_edges(graph, scores, signed=False))
    pruned = [live_edges(graph, edge_set(graph, by_rank[: n + 1])) for n in range(graph.n_edges)]
    masks = ranked_circuits(graph, scores, [int(mask.sum()) for mask in pruned], signed=False)
    assert len({mask.tobytes() for mask in pruned}) > 5  # not one circuit again and again
    assert (masks == np.stack(pruned)).all()


def test_sizes_that_pruning_the_first_births_would_miss_are_reached():
    """In this ranking many edges wait for one: pruned, the first n of them fall far short of n."""
    graph, rng = Graph(4, 1, 4, 2), np.random.default_rng(0)
    scores = scores_of(graph, 0)
    head = graph.dst_kinds == "lm_head"
    scores[:, head] *= 0.01  # what leads to the LM head comes last
    by_rank = np.argsort(rank_edges(graph, scores, signed=False))
    sizes = (rng.permutation(graph.n_edges)[:30] + 1).tolist()
    short = [int(live_edges(graph, edge_set(graph, by_rank[:n])).sum()) for n in sizes]
    assert min(np.array(short) / sizes) == 0  # the effect is there
    assert ranked_circuits(graph, scores, sizes, signed=False).sum((1, 2)).tolist() == sizes


def test_two_edges_are_a_path_although_the_direct_edge_ranks_first():
    graph = Graph(2, 1, 2, 1)
    scores = graph.edge_mask * 1.0
    scores[0, graph.lm_head] = 9.0
    mlp = graph.dst(0, "mlp").start
    scores[0, mlp], scores[graph.mlp_src(0), graph.lm_head] = 5.0, 4.0
    one, two, three = ranked_circuits(graph, scores, [1, 2, 3], signed=False)
    assert np.argwhere(one).tolist() == [[0, graph.lm_head]]
    path = [[0, mlp], [graph.mlp_src(0), graph.lm_head]]
    assert np.argwhere(two).tolist() == path
    assert np.argwhere(three).tolist() == sorted([*path, [0, graph.lm_head]])


@pytest.mark.parametrize("graph", GRAPHS, ids=str)
def test_circuits_of_one_ranking_are_nested_but_for_few_edges(graph):
    sizes = range(graph.n_edges + 1)
    masks = ranked_circuits(graph, scores_of(graph, 1), sizes, signed=False)
    lost = [int((small & ~large).sum()) for small, large in pairwise(masks)]
    longest = 2 * graph.n_blocks + 1  # edges of a path
    assert max(lost) < longest
    assert np.mean(np.array(lost) == 0) > 0.7


def test_the_order_holds_every_edge_once_and_begins_with_a_path():
    graph = GRAPHS[3]
    order = order_of(graph, scores_of(graph, 2))
    assert sorted(order) == list(range(graph.n_edges))
    sizes = [n for n in range(1, 20) if live_edges(graph, edge_set(graph, order[:n])).sum() == n]
    assert sizes  # where a prefix is a circuit, it is the circuit of its size
    masks = circuits_of(graph, order, sizes)
    assert all((mask == edge_set(graph, order[:n])).all() for n, mask in zip(sizes, masks, strict=True))


@pytest.mark.parametrize("size", [-1, GRAPHS[0].n_edges + 1])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ValueError, match="outside"):
        ranked_circuits(GRAPHS[0], scores_of(GRAPHS[0], 0), [size], signed=False)
