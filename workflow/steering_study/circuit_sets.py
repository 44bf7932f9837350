"""The circuits that a study evaluates, each with what it is called in the tables (METHOD 4).

    own            pooled scores of the four patching sets, by |score|       own_signed   by the score itself
    by_metric      ranked by another metric                                   held_out     found on half of the prompts
    <set>          scores of one patching set alone
    interchanged   another method's circuit                                   complement   all edges outside the circuit
    random         uniform draws of twice the size                            without_*    all edges but those into a kind

The first five are curves over the size grid; the others stand at the minimum-faithful size of `own`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from steering_study.circuits import random_circuits, rank_edges
from steering_study.graph import Graph
from steering_study.nesting import circuits_of, path_order

MAIN_METRIC = "logit_difference"  # in which faithfulness is measured, whatever ranks the edges
WITHOUT = {
    "without_q": ("attn_q",),
    "without_k": ("attn_k",),
    "without_qk": ("attn_q", "attn_k"),
    "without_v": ("attn_v",),
    "without_mlp": ("mlp",),
}  # kinds of destination whose edges are left out


@dataclass(frozen=True)
class Ranking:
    """Edges in the order in which a circuit takes them up, with the scores behind the order."""

    kind: str
    metric: str
    half: int  # of the prompts that it was found on; -1: all of them
    order: Int[np.ndarray, "edge"]
    scores: Float[np.ndarray, "edge"]


@dataclass(frozen=True)
class NamedCircuit:
    """A circuit and its coordinates in the tables."""

    kind: str
    circuit_method: str
    metric: str
    half: int
    draw: int
    nominal_edges: int
    mask: Bool[np.ndarray, "src dst"]


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
    for metric, rows in attribution.groupby("metric", sort=False):
        sets = {str(name): each for name, each in rows.groupby("patching_set", sort=False)}
        scores = {name: arrays[f"{name}.{metric}.edges"] for name in sets}
        counts = {name: each["n_positions"].to_numpy() for name, each in sets.items()}
        halves = {name: each["half"].to_numpy() for name, each in sets.items()}

        def pooled(
            names: Iterable[str],
            half: int = -1,
            scores: Any = scores,
            counts: Any = counts,
            halves: Any = halves,
        ) -> Float[np.ndarray, "edge"]:
            chosen = {name: (halves[name] == half) | (half < 0) for name in names}
            return pooled_scores({name: scores[name] for name in names}, counts, chosen)

        if sum(each.sum() for each in counts.values()) == 0:  # a threshold that no position passes
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


def curve(graph: Graph, ranking: Ranking, method: str, sizes: Sequence[int]) -> list[NamedCircuit]:
    """The circuits of a ranking, one a size."""
    masks = circuits_of(graph, ranking.order, sizes)
    return [
        NamedCircuit(ranking.kind, method, ranking.metric, ranking.half, 0, size, mask)
        for size, mask in zip(sizes, masks, strict=True)
    ]


def beside(
    graph: Graph,
    own: Mapping[str, Ranking],
    method: str,
    size: int,
    *,
    draws: int,
    rng: np.random.Generator,
) -> list[NamedCircuit]:
    """What stands beside a method's own circuit of its minimum-faithful size.

    Args:
        own: the ranking `own` of every method.
    """
    masks = {name: curve(graph, ranking, name, [size])[0].mask for name, ranking in own.items()}
    kinds = [("complement", method, 0, graph.edge_mask & ~masks[method])]
    kinds += [("interchanged", name, 0, mask) for name, mask in masks.items() if name != method]
    twice = min(2 * size, graph.n_edges)
    drawn = random_circuits(graph, twice, draws=draws, rng=rng)
    kinds += [("random", method, draw, mask) for draw, mask in enumerate(drawn)]
    kinds += [
        (kind, method, 0, graph.edge_mask & ~np.isin(graph.dst_kinds, ends)) for kind, ends in WITHOUT.items()
    ]
    return [
        NamedCircuit(kind, name, MAIN_METRIC, -1, draw, int(mask.sum()), mask)
        for kind, name, draw, mask in kinds
    ]


def label_runs(
    circuits: Sequence[NamedCircuit], measured: pd.DataFrame, responses: pd.DataFrame
) -> pd.DataFrame:
    """The `circuit_runs` table of measured circuits; a circuit is not judged on the half that it was found on.

    Args:
        measured: of `faithfulness.measure_circuits`.
        responses: what it was measured on, with dataset, prompt_id and half.
    """
    names = pd.DataFrame(
        [{key: value for key, value in vars(each).items() if key != "mask"} for each in circuits]
    ).assign(n_edges=[int(each.mask.sum()) for each in circuits])
    table = measured.join(names, on="circuit").join(
        responses.reset_index(drop=True)[["dataset", "prompt_id", "half"]].rename(columns={"half": "judged"}),
        on="row",
    )
    return table[table["half"] != table["judged"]].drop(columns=["row", "circuit", "judged"])
