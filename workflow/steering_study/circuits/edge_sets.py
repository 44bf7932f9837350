"""Sets of edges as masks: random ones, and how much two share, beside chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from steering_study.circuits.graph import Graph


def random_circuits(
    graph: Graph, size: int, *, draws: int, rng: np.random.Generator
) -> Bool[np.ndarray, "draw src dst"]:
    """Uniform draws of `size` edges, not pruned."""
    check_size(graph, size)
    return np.stack([edge_set(graph, rng.permutation(graph.n_edges)[:size]) for _ in range(draws)])


def edge_set(graph: Graph, numbers: Sequence[int] | Int[np.ndarray, "edge"]) -> Bool[np.ndarray, "src dst"]:
    """Edge numbers as a mask."""
    chosen = np.zeros(graph.n_edges, dtype=bool)
    chosen[np.asarray(numbers, dtype=np.int64)] = True
    return graph.unpack(chosen)


def overlap(first: Bool[np.ndarray, "src dst"], second: Bool[np.ndarray, "src dst"]) -> float:
    """|C1 & C2| / min(|C1|, |C2|); NaN where one is empty."""
    smaller = min(first.sum(), second.sum())
    return float((first & second).sum() / smaller) if smaller else float("nan")


def chance_overlap(
    first: Bool[np.ndarray, "src dst"], second: Bool[np.ndarray, "src dst"], *, n_edges: int
) -> float:
    """Overlap expected of uniform draws of those sizes: max(|C1|, |C2|) / |M|."""
    return float(max(first.sum(), second.sum()) / n_edges)


def check_size(graph: Graph, size: int) -> None:
    """Refuse a size that no set of edges of the graph has.

    Raises:
        ValueError: if it is not between 0 and the number of edges.
    """
    if not 0 <= size <= graph.n_edges:
        raise ValueError(f"circuit size {size} is outside 0..{graph.n_edges}, the edges of this graph")
