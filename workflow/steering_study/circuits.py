"""Edge scores to circuits: nested sets of edges, each with a path from the steering residual to the LM head (METHOD 4).

1. Rank the edges by |score| or by score.
2. An edge is *live* within a set when a path of the set from resid_steer to the LM head runs through it.
   Its *birth* is the least n such that it is live within the top n. With the edges along a path as a chain that
   is as weak as its worst rank,

       birth(u -> v) = max(rank(u -> v), reach(u), leave(v))

   reach(u): the least worst rank of a path from resid_steer to u; leave(v): of a path from v to the LM head.
3. The circuit of nominal size n is the n edges that are born first, without those that are not live among them: edges
   born together may not all fit. So pruned edges are replaced by the next of the ranking, circuits of one
   ranking are nested, and the final size is at most the nominal one.
"""

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


def birth_order(graph: Graph, ranks: Int[np.ndarray, "edge"]) -> Int[np.ndarray, "edge"]:
    """Edge numbers in the order in which they become live; those of one birth by their rank."""
    worst = np.iinfo(np.int64).max
    matrix = np.where(graph.edge_mask, graph.unpack(ranks), worst)
    reach, leave = _reach(graph, matrix), _leave(graph, matrix)
    births = np.maximum(np.maximum(matrix, reach[:, None]), leave[None])
    return np.lexsort((ranks, graph.pack(births)))


def nested_circuits(
    graph: Graph, scores: Float[np.ndarray, "src dst"], sizes: Sequence[int], *, signed: bool
) -> Bool[np.ndarray, "size src dst"]:
    """The circuits of nominal `sizes` of one ranking.

    Raises:
        ValueError: if a size is not between 0 and the number of edges.
    """
    order = birth_order(graph, rank_edges(graph, scores, signed=signed))
    return np.stack([prune(graph, edge_set(graph, order[: _checked(graph, size)])) for size in sizes])


def random_circuits(
    graph: Graph, size: int, *, draws: int, rng: np.random.Generator
) -> Bool[np.ndarray, "draw src dst"]:
    """Uniform draws of `size` edges, not pruned."""
    _checked(graph, size)
    return np.stack([edge_set(graph, rng.permutation(graph.n_edges)[:size]) for _ in range(draws)])


def edge_set(graph: Graph, numbers: Int[np.ndarray, "edge"]) -> Bool[np.ndarray, "src dst"]:
    """Edge numbers as a mask."""
    chosen = np.zeros(graph.n_edges, dtype=bool)
    chosen[numbers] = True
    return graph.unpack(chosen)


def prune(graph: Graph, mask: Bool[np.ndarray, "src dst"]) -> Bool[np.ndarray, "src dst"]:
    """The live edges of a set."""
    weak = np.where(mask, 0, 1)
    return mask & (_reach(graph, weak) == 0)[:, None] & (_leave(graph, weak) == 0)[None]


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


def _checked(graph: Graph, size: int) -> int:
    if not 0 <= size <= graph.n_edges:
        raise ValueError(f"circuit size {size} is outside 0..{graph.n_edges}, the edges of this graph")
    return size


def _reach(graph: Graph, worst: Int[np.ndarray, "src dst"]) -> Int[np.ndarray, "src"]:
    """Least worst value of a path from resid_steer to each source; a head is reached through any of its inputs."""
    reach = np.zeros(graph.n_src, dtype=worst.dtype)
    group = graph.n_heads // graph.n_kv_heads

    def into(dst: slice, n_src: int) -> np.ndarray:
        return np.maximum(worst[:n_src, dst], reach[:n_src, None]).min(0)

    for block in range(graph.n_blocks):
        n = graph.n_src_before(block)
        keys_values = np.minimum(into(graph.dst(block, "attn_k"), n), into(graph.dst(block, "attn_v"), n))
        reach[graph.heads_src(block)] = np.minimum(
            into(graph.dst(block, "attn_q"), n), keys_values.repeat(group)
        )
        reach[graph.mlp_src(block)] = into(graph.dst(block, "mlp"), n + graph.n_heads)[0]
    return reach


def _leave(graph: Graph, worst: Int[np.ndarray, "src dst"]) -> Int[np.ndarray, "dst"]:
    """Least worst value of a path from each destination to the LM head; a key-value head leads to its whole group."""
    leave = np.zeros(graph.n_dst, dtype=worst.dtype)
    shape = (graph.n_kv_heads, graph.n_heads // graph.n_kv_heads)

    def out_of(src: slice, dst: slice) -> np.ndarray:
        return np.maximum(worst[src, dst], leave[dst]).min(1)

    for block in reversed(range(graph.n_blocks)):
        mlp = graph.dst(block, "mlp")
        source = graph.mlp_src(block)
        leave[mlp] = out_of(slice(source, source + 1), slice(mlp.stop, None))
        heads = out_of(graph.heads_src(block), slice(mlp.start, None))
        leave[graph.dst(block, "attn_q")] = heads
        for kind in ("attn_k", "attn_v"):
            leave[graph.dst(block, kind)] = heads.reshape(shape).min(1)
    return leave
