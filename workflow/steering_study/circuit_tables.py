"""Runs of circuits to the summary tables: faithfulness, completeness, overlap, kinds of edges, exact interchange, text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import spearmanr

from steering_study.circuit_sets import Ranking
from steering_study.circuits import chance_overlap, edge_set, minimum_faithful, overlap
from steering_study.graph import DESTINATION_KINDS, SOURCE_KINDS, Graph
from steering_study.nesting import circuits_of
from steering_study.stats import ratio_of_sums, wilson_interval
from steering_study.summaries import N_RESAMPLES

_CIRCUIT = ["kind", "circuit_method", "metric", "draw", "nominal_edges"]
_END = {"src": "out", "dst": "in"}  # as the published tables call them


def minimum_size(runs: pd.DataFrame, *, threshold: float) -> int:
    """Nominal size of the smallest own circuit whose faithfulness, averaged over the test sets, reaches the threshold.

    Args:
        runs: the `circuit_runs` table of one method.

    Raises:
        ValueError: if none does, as where the size grid lacks the whole graph, or steering has no effect on a test set.
    """
    own = runs[runs["kind"] == "own"]
    sums = own.assign(gain=own["value"] - own["base"], gap=own["steer"] - own["base"])
    sums = sums.groupby(["nominal_edges", "dataset"])[["gain", "gap"]].sum()
    if empty := sorted(sums.index[sums["gap"] == 0].unique("dataset")):
        raise ValueError(
            f"steering changes no prediction on the responses to {', '.join(empty)}, so circuits have no faithfulness there; take "
            "more prompts (circuits.responses), or leave the method out of circuits.methods"
        )
    mean = (sums["gain"] / sums["gap"]).groupby("nominal_edges").mean()
    found = minimum_faithful([int(size) for size in mean.index], list(mean), threshold=threshold)
    if found is None:
        raise ValueError(
            f"no circuit of the grid reaches a faithfulness of {threshold}; add 100 to circuits.sizes_percent"
        )
    return found


def summarise_faithfulness(
    runs: pd.DataFrame, *, method: str, n_edges: int, threshold: float, confidence: float, seed: int
) -> pd.DataFrame:
    """The `faithfulness` table of the circuits that were run with one method's vector.

    On responses of which steering changes no prediction a circuit has no faithfulness: NaN.

    Args:
        runs: the `circuit_runs` table.
        n_edges: edges of the whole graph.
    """
    smallest = minimum_size(runs, threshold=threshold)
    rows = []
    for values, group in runs.groupby([*_CIRCUIT, "dataset"], sort=False):
        gains = (group["value"] - group["base"]).to_numpy()
        gaps = (group["steer"] - group["base"]).to_numpy()
        value, low, high = ratio_of_sums(
            gains, gaps, confidence=confidence, n_resamples=N_RESAMPLES, seed=seed
        )
        size = float(group["n_edges"].mean())
        is_counted = gaps != 0  # responses with an unmasked position
        rows.append(
            {
                **dict(zip([*_CIRCUIT, "dataset"], values, strict=True)),  # pyright: ignore[reportArgumentType]
                "vector_method": method,
                "n_edges": round(size),
                "share_of_edges": size / n_edges,
                "faithfulness": value,
                "low": low,
                "high": high,
                "mean_of_ratios": float(np.mean(gains[is_counted] / gaps[is_counted]))
                if is_counted.any()
                else np.nan,
                "n": int(is_counted.sum()),
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(minimum=(table["kind"] == "own") & (table["nominal_edges"] == smallest))


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


def summarise_text(verdicts: pd.DataFrame, *, n_edges: Mapping[str, int], confidence: float) -> pd.DataFrame:
    """The `circuit_asr` table: attack success on the same prompts by what carries steering.

    Args:
        verdicts: with `carrier`: none, circuit, complement or all.
        n_edges: edges of each carrier.
    """
    keys = ["method", "condition", "dataset", "carrier"]
    rows = []
    for values, group in verdicts.groupby(keys, sort=False):
        successes, n = int((~group["refused"]).sum()), len(group)
        low, high = wilson_interval(successes, n, confidence=confidence)
        named = dict(zip(keys, values, strict=True))  # pyright: ignore[reportArgumentType]
        rows.append(
            {
                **named,
                "n_edges": n_edges[named["carrier"]],
                "n": n,
                "asr": successes / n,
                "asr_low": low,
                "asr_high": high,
                "degenerate_rate": float(group["degenerate"].mean()),
            }
        )
    return pd.DataFrame(rows)
