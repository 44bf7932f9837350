"""Circuits are nested, connected and of the sizes asked for."""

from __future__ import annotations

import networkx
import numpy as np
import pytest

from steering_study.circuits import (
    birth_order,
    chance_overlap,
    edge_set,
    minimum_faithful,
    nested_circuits,
    overlap,
    prune,
    random_circuits,
    rank_edges,
    size_grid,
)
from steering_study.graph import Graph

GRAPH = Graph(4, 1, 4, 2)


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=(GRAPH.n_src, GRAPH.n_dst)) * GRAPH.edge_mask


def pruned_slowly(graph, mask):
    """Edges of a set on a path from resid_steer to the LM head, through a graph of nodes and their inputs."""
    net = networkx.DiGraph()
    net.add_nodes_from(["resid_steer", "lm_head"])
    group = graph.n_heads // graph.n_kv_heads
    for name in graph.dst_names:
        if name == "lm_head":
            continue
        node, _, end = name.partition("<")
        block, head = (node[1:], None) if not end else node[1:].split(".h")
        owners = [node] if end in ("", "q>") else [f"a{block}.h{int(head) * group + i}" for i in range(group)]
        for owner in owners:
            net.add_edge(f"in:{name}", f"out:{owner}")
    for src, dst in zip(*np.nonzero(mask), strict=True):
        source, target = graph.src_names[src], graph.dst_names[dst]
        net.add_edge(
            source if source == "resid_steer" else f"out:{source}",
            target if target == "lm_head" else f"in:{target}",
        )
    live = networkx.descendants(net, "resid_steer") | {"resid_steer"}
    live &= networkx.ancestors(net, "lm_head") | {"lm_head"}
    kept = np.zeros_like(mask)
    for src, dst in zip(*np.nonzero(mask), strict=True):
        source, target = graph.src_names[src], graph.dst_names[dst]
        ends = (
            source if source == "resid_steer" else f"out:{source}",
            target if target == "lm_head" else f"in:{target}",
        )
        kept[src, dst] = all(end in live for end in ends)
    return kept


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_pruning_equals_a_search_over_paths(share, seed):
    mask = GRAPH.edge_mask & (np.random.default_rng(seed).random(GRAPH.edge_mask.shape) < share)
    assert (prune(GRAPH, mask) == pruned_slowly(GRAPH, mask)).all()


def test_births_equal_those_of_adding_one_edge_at_a_time(scores):
    ranks = rank_edges(GRAPH, scores, signed=False)
    by_rank = np.argsort(ranks)
    born = np.full(GRAPH.n_edges, -1)
    for n in range(GRAPH.n_edges):
        live = GRAPH.pack(pruned_slowly(GRAPH, edge_set(GRAPH, by_rank[: n + 1])))
        born[live & (born < 0)] = n
    expected = np.lexsort((ranks, born))
    assert (birth_order(GRAPH, ranks) == expected).all()


@pytest.mark.parametrize("signed", [True, False])
def test_circuits_are_nested_and_connected(scores, signed):
    sizes = [*range(0, GRAPH.n_edges + 1, 7), GRAPH.n_edges]
    masks = nested_circuits(GRAPH, scores, sizes, signed=signed)
    assert (masks[:-1] <= masks[1:]).all()
    assert all((prune(GRAPH, mask) == mask).all() for mask in masks)
    assert not masks[0].any()
    assert (masks[-1] == GRAPH.edge_mask).all()


def test_final_sizes_are_at_most_nominal_and_refilled(scores):
    sizes = [20, 40, 80]
    refilled = nested_circuits(GRAPH, scores, sizes, signed=False).sum((1, 2))
    by_rank = np.argsort(rank_edges(GRAPH, scores, signed=False))
    plain = [prune(GRAPH, edge_set(GRAPH, by_rank[:n])).sum() for n in sizes]
    assert all(a <= n for a, n in zip(refilled, sizes, strict=True))
    assert all(a >= b for a, b in zip(refilled, plain, strict=True))
    assert refilled[0] > plain[0]


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


@pytest.mark.parametrize("size", [-1, GRAPH.n_edges + 1])
def test_impossible_sizes_are_refused(scores, size):
    with pytest.raises(ValueError, match="outside"):
        nested_circuits(GRAPH, scores, [size], signed=False)


def test_random_circuits_have_the_size_and_differ():
    draws = random_circuits(GRAPH, 30, draws=4, rng=np.random.default_rng(1))
    assert (draws.sum((1, 2)) == 30).all()
    assert not (draws & ~GRAPH.edge_mask).any()
    assert len({mask.tobytes() for mask in draws}) == 4


def test_overlap_is_symmetric_and_one_with_itself(scores):
    small, large = nested_circuits(GRAPH, scores, [20, 60], signed=False)
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


def test_size_grid_by_step_and_by_share():
    assert size_grid(1000, step=300, shares_percent=[]) == [300, 600, 900, 1000]
    assert size_grid(1000, step=None, shares_percent=[1.0, 3.4, 100.0]) == [10, 34, 1000]
    assert size_grid(20, step=None, shares_percent=[1.0, 2.0, 100.0]) == [1, 20]


def test_minimum_faithful_is_the_smallest_that_reaches():
    assert minimum_faithful([10, 20, 30], [0.9, 0.8, 0.95], threshold=0.85) == 10
    assert minimum_faithful([10, 20, 30], [0.1, 0.86, 0.8], threshold=0.85) == 20
    assert minimum_faithful([10, 20], [0.1, 0.2], threshold=0.85) is None
