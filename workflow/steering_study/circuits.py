"""Rankings and sets of edges: sizes, random sets, and how much two sets share (METHOD 4). `nesting` makes circuits of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from steering_study.graph import Graph


def rank_edges(
    graph: Graph, scores: Float[np.ndarray, "src dst"], *, signed: bool
) -> Int[np.ndarray, "edge"]:
    """Rank of every edge from 0, the first; ties go by edge number.

    Args:
        signed: rank by the score itself, so that edges against the steered behaviour come last; else by its size.
    """
    values = graph.pack(scores)
    if not np.isfinite(values).all():
        raise ValueError("edge scores hold NaN or infinity; attribute them again")
    order = np.argsort(-values if signed else -np.abs(values), kind="stable")
    return np.argsort(order, kind="stable")


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


def size_grid(n_edges: int, *, step: int | None, shares_percent: Sequence[float]) -> list[int]:
    """Circuit sizes: every `step` edges where a step is given, else shares of all edges."""
    if step is not None:
        return [*range(step, n_edges, step), n_edges]
    return sorted({max(1, round(n_edges * share / 100)) for share in shares_percent})


def minimum_faithful(sizes: Sequence[int], faithfulness: Sequence[float], *, threshold: float) -> int | None:
    """The smallest size whose faithfulness reaches the threshold; None where none does."""
    reached = [size for size, value in zip(sizes, faithfulness, strict=True) if value >= threshold]
    return min(reached, default=None)


def check_size(graph: Graph, size: int) -> None:
    """Refuse a size that no set of edges of the graph has.

    Raises:
        ValueError: if it is not between 0 and the number of edges.
    """
    if not 0 <= size <= graph.n_edges:
        raise ValueError(f"circuit size {size} is outside 0..{graph.n_edges}, the edges of this graph")
