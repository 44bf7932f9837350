"""Rankings, circuits and their texts to the summary tables: completeness, kinds of edges, first edges, overlap, attack success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from steering_study.circuits.edge_sets import chance_overlap, edge_set, overlap
from steering_study.circuits.graph import Graph
from steering_study.circuits.nesting import circuits_of
from steering_study.circuits.rankings import Ranking
from steering_study.steering.success import asr_row

_END = {"src": "out", "dst": "in"}  # as the published tables call them


def summarise_completeness(attribution: pd.DataFrame) -> pd.DataFrame:
    """The `completeness` table: what the edges that leave the steering node add up to, beside the metric's change."""
    sums = attribution.groupby(["method", "patching_set", "metric"], sort=False).agg(
        n=("prompt_id", "size"),
        n_tokens=("n_tokens", "sum"),
        n_positions=("n_positions", "sum"),
        change=("change", "sum"),
        outgoing=("outgoing", "sum"),
    )
    residual = (sums["outgoing"] - sums["change"]).abs() / sums["change"].abs() * 100
    per_position = sums[["change", "outgoing"]].div(sums["n_positions"], axis=0)
    return sums.assign(
        residual_percent=residual, change=per_position["change"], outgoing=per_position["outgoing"]
    ).reset_index()


def edge_census(graph: Graph) -> pd.DataFrame:
    """The `edge_census` table of a graph."""
    return pd.DataFrame(
        [
            {"end": _END[end], "node_kind": kind, "edges": count}
            for end, counts in graph.census().items()
            for kind, count in counts.items()
        ]
    )


def edge_shares(graph: Graph, ranking: Ranking, *, method: str, size: int, top: int) -> pd.DataFrame:
    """The `edge_shares` table of a method: its circuit of a size, and the edges of it with the largest scores."""
    (circuit,) = circuits_of(graph, ranking.order, [size])
    scopes = {"circuit": circuit, "top_edges": _largest(graph, circuit, ranking.scores, top)}
    return pd.DataFrame(
        [
            {
                "method": method,
                "scope": scope,
                "end": _END[end],
                "node_kind": kind,
                "edges": count,
                "percent": 100 * count / mask.sum(),
            }
            for scope, mask in scopes.items()
            for end, counts in graph.count_kinds(mask).items()
            for kind, count in counts.items()
        ]
    )


def _largest(
    graph: Graph, circuit: Bool[np.ndarray, "src dst"], scores: Float[np.ndarray, "edge"], n: int
) -> Bool[np.ndarray, "src dst"]:
    inside = graph.pack(circuit)
    order = np.argsort(np.where(inside, -np.abs(scores), np.inf), kind="stable")
    return edge_set(graph, order[: min(n, int(inside.sum()))])


def top_edges(graph: Graph, ranking: Ranking, *, method: str, size: int, n: int) -> pd.DataFrame:
    """The `top_edges` table of a method: the first edges that its circuits take up, each on a path of the others."""
    src, dst = graph.edges
    first, circuit = graph.pack(circuits_of(graph, ranking.order, [min(n, graph.n_edges), size]))
    chosen = [edge for edge in ranking.order if first[edge]]
    return pd.DataFrame(
        {
            "method": method,
            "rank": range(1, len(chosen) + 1),
            "src": [graph.src_names[src[edge]] for edge in chosen],
            "dst": [graph.dst_names[dst[edge]] for edge in chosen],
            "dst_node": [graph.dst_nodes[dst[edge]] for edge in chosen],
            "src_kind": graph.src_kinds[src[chosen]],
            "dst_kind": graph.dst_kinds[dst[chosen]],
            "score": ranking.scores[chosen].astype(float),
            "in_circuit": circuit[chosen],
        }
    )


def summarise_overlap(graph: Graph, own: Mapping[str, Ranking], sizes: Sequence[int]) -> pd.DataFrame:
    """The `overlap` table: every pair of methods at every pair of sizes, beside what chance gives."""
    masks = {name: circuits_of(graph, ranking.order, sizes) for name, ranking in own.items()}
    columns = ["method_a", "method_b", "n_edges_a", "n_edges_b", "overlap", "chance"]
    return pd.DataFrame(
        [
            {
                "method_a": a,
                "method_b": b,
                "n_edges_a": int(first.sum()),
                "n_edges_b": int(second.sum()),
                "overlap": overlap(first, second),
                "chance": chance_overlap(first, second, n_edges=graph.n_edges),
            }
            for a in masks
            for b in masks
            if a != b
            for first in masks[a]
            for second in masks[b]
        ],
        columns=columns,
    )


def summarise_text(verdicts: pd.DataFrame, *, n_edges: Mapping[str, int], confidence: float) -> pd.DataFrame:
    """The `circuit_asr` table: attack success on the same prompts by what carries steering.

    Args:
        verdicts: with `carrier`: none, circuit, complement or all.
        n_edges: edges of each carrier.
    """
    keys = ["method", "condition", "dataset", "carrier"]
    rows = []
    for values, group in verdicts.groupby(keys, sort=False):
        named = dict(zip(keys, values, strict=True))  # pyright: ignore[reportArgumentType]
        rows.append({**named, "n_edges": n_edges[named["carrier"]], **asr_row(group, confidence=confidence)})
    return pd.DataFrame(rows)
