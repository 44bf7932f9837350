"""Exact effects of single edges and of all edges into a kind, beside their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import spearmanr

from steering_study.circuits.edge_sets import edge_set
from steering_study.circuits.graph import DESTINATION_KINDS, SOURCE_KINDS, Graph


@dataclass(frozen=True)
class EdgeSet:
    """One edge, or all edges into a kind of destination, as the `interchange` table names it."""

    src: str
    dst: str
    src_kind: str
    dst_kind: str
    mask: Bool[np.ndarray, "src dst"]


def sample_edges(graph: Graph, per_kind: int, *, rng: np.random.Generator) -> list[EdgeSet]:
    """A sample of every kind of edge, and each kind of destination as a whole, queries and keys together as well."""
    found = []
    numbers = np.arange(graph.n_edges)
    src, dst = graph.edges
    for src_kind in SOURCE_KINDS:
        for dst_kind in DESTINATION_KINDS:
            of_kind = numbers[(graph.src_kinds[src] == src_kind) & (graph.dst_kinds[dst] == dst_kind)]
            for edge in rng.permutation(of_kind)[:per_kind]:
                found.append(
                    EdgeSet(
                        graph.src_names[src[edge]],
                        graph.dst_names[dst[edge]],
                        src_kind,
                        dst_kind,
                        edge_set(graph, np.array([edge])),
                    )
                )
    groups = {**{kind: (kind,) for kind in DESTINATION_KINDS}, "attn_qk": ("attn_q", "attn_k")}
    for name, kinds in groups.items():
        into = np.isin(graph.dst_kinds, kinds)
        found.append(EdgeSet("all", name, "all", name, graph.edge_mask & into))
    return found


def label_effects(
    edges: Sequence[EdgeSet], effects: pd.DataFrame, scores: Float[np.ndarray, "response src dst"]
) -> pd.DataFrame:
    """The `interchange` table without method and dataset: score and exact effect of each set, a response position."""
    sums = effects.groupby("set")[["effect", "n_positions"]].sum()
    rows = []
    for i, each in enumerate(edges):
        names = {key: value for key, value in vars(each).items() if key != "mask"}
        counted = sums.loc[i]
        score = float((scores * each.mask).sum()) / counted["n_positions"]
        rows.append(
            {**names, "n": len(scores), "score": score, "effect": counted["effect"] / counted["n_positions"]}
        )
    return pd.DataFrame(rows)


def fit_interchange(interchange: pd.DataFrame) -> pd.DataFrame:
    """The `interchange_fit` table: how well scores rank and size the exact effects of single edges."""
    edges = interchange[interchange["src"] != "all"]
    groups = [("all", edges), *edges.groupby("dst_kind", sort=False)]
    rows = []
    for kind, group in groups:
        score, effect = group["score"].to_numpy(), group["effect"].to_numpy()
        is_constant = (
            np.ptp(score) == 0 or np.ptp(effect) == 0
        )  # as into the queries of a block that ignores them
        rows.append(
            {
                "method": group["method"].iloc[0],
                "dst_kind": kind,
                "n": len(group),
                "spearman": float("nan") if is_constant else float(spearmanr(score, effect).statistic),
                "slope": float("nan") if is_constant else float(score @ effect / (score @ score)),
            }
        )
    return pd.DataFrame(rows)
