"""Scores of edges to rankings: pooled, signed, by patching set, by metric, by half of the prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from steering_study.circuits.graph import Graph
from steering_study.circuits.nesting import circuits_of, path_order

MAIN_METRIC = "logit_difference"  # in which faithfulness is measured, whatever ranks the edges


@dataclass(frozen=True)
class Ranking:
    """Edges in the order in which a circuit takes them up, with the scores behind the order."""

    kind: str
    metric: str
    half: int  # of the prompts that it was found on; -1: all of them
    order: Int[np.ndarray, "edge"]
    scores: Float[np.ndarray, "edge"]


def pooled_scores(
    scores: Mapping[str, Float[np.ndarray, "response edge"]],
    n_positions: Mapping[str, np.ndarray],
    chosen: Mapping[str, np.ndarray],
) -> Float[np.ndarray, "edge"]:
    """Mean over the unmasked response positions of the chosen responses of all sets given.

    Args:
        scores: sums over positions, a response a row, by set.
        n_positions: their unmasked positions.
        chosen: which responses count.
    """
    total = sum(scores[name][chosen[name]].sum(0, dtype=np.float64) for name in scores)
    count = sum(int(n_positions[name][chosen[name]].sum()) for name in scores)
    if count == 0:
        raise ValueError("base and steered predictions agree at every response position: no edge has a score")
    return np.asarray(total / count)


def rank(graph: Graph, arrays: Mapping[str, np.ndarray], attribution: pd.DataFrame) -> list[Ranking]:
    """Every ranking of a method's scores.

    Args:
        arrays: `<set>.<metric>.edges`, a response a row, as attributed.
        attribution: the `attribution` table that goes with them.
    """
    rankings = []
    for metric, of_metric in attribution.groupby("metric", sort=False):
        sets = {str(name): of_set for name, of_set in of_metric.groupby("patching_set", sort=False)}
        scores = {name: arrays[f"{name}.{metric}.edges"] for name in sets}
        counts = {name: of_set["n_positions"].to_numpy() for name, of_set in sets.items()}
        halves = {name: of_set["half"].to_numpy() for name, of_set in sets.items()}

        def pooled(
            names: Iterable[str],
            half: int = -1,
            scores: Any = scores,
            counts: Any = counts,
            halves: Any = halves,
        ) -> Float[np.ndarray, "edge"]:
            masks = {name: (halves[name] == half) | (half < 0) for name in names}
            return pooled_scores({name: scores[name] for name in names}, counts, masks)

        if sum(n.sum() for n in counts.values()) == 0:  # a threshold that no position passes
            continue
        every = pooled(sets)
        if metric != MAIN_METRIC:
            rankings.append(_ranking(graph, "by_metric", str(metric), every))
            continue
        rankings.append(_ranking(graph, "own", MAIN_METRIC, every))
        rankings.append(_ranking(graph, "own_signed", MAIN_METRIC, every, signed=True))
        for name in sets:
            if counts[name].sum():
                rankings.append(_ranking(graph, name, MAIN_METRIC, pooled([name])))
        for half in (0, 1):
            if all(any(counts[name][halves[name] == h].sum() for name in sets) for h in (0, 1)):
                rankings.append(_ranking(graph, "held_out", MAIN_METRIC, pooled(sets, half), half=half))
    return rankings


def _ranking(
    graph: Graph,
    kind: str,
    metric: str,
    scores: Float[np.ndarray, "edge"],
    *,
    half: int = -1,
    signed: bool = False,
) -> Ranking:
    order = path_order(graph, rank_edges(graph, graph.unpack(scores), signed=signed))
    return Ranking(kind, metric, half, order, scores)


def rankings_table(rankings: Sequence[Ranking]) -> pd.DataFrame:
    """The `rankings` table: edges in the order in which circuits take them up."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "kind": each.kind,
                    "metric": each.metric,
                    "half": each.half,
                    "place": range(1, len(each.order) + 1),
                    "edge": each.order.astype(np.int64),
                    "score": each.scores[each.order].astype(float),
                }
            )
            for each in rankings
        ],
        ignore_index=True,
    )


def read_rankings(table: pd.DataFrame) -> list[Ranking]:
    """Rankings from their table."""
    rankings = []
    for (kind, metric, half), rows in table.groupby(["kind", "metric", "half"], sort=False):
        order = rows["edge"].to_numpy()
        scores = np.empty(len(order))
        scores[order] = rows["score"].to_numpy()
        rankings.append(Ranking(str(kind), str(metric), int(half), order, scores))  # pyright: ignore[reportArgumentType]
    return rankings


def own_ranking(rankings: Sequence[Ranking]) -> Ranking:
    """The ranking of a method's own circuits."""
    return next(each for each in rankings if each.kind == "own" and each.metric == MAIN_METRIC)


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


def ranked_circuits(
    graph: Graph, scores: Float[np.ndarray, "src dst"], sizes: Sequence[int], *, signed: bool
) -> Bool[np.ndarray, "size src dst"]:
    """The circuits of the given sizes of a matrix of scores."""
    return circuits_of(graph, path_order(graph, rank_edges(graph, scores, signed=signed)), sizes)
