"""The circuits that a study evaluates, each with what it is called in the tables.

    own            pooled scores of the four patching sets, by |score|       own_signed   by the score itself
    by_metric      ranked by another metric                                   held_out     found on half of the prompts
    <set>          scores of one patching set alone
    interchanged   another method's circuit                                   complement   all edges outside the circuit
    random         uniform draws of twice the size                            without_*    all edges but those into a kind

The first five are curves over the size grid; the others stand at the minimum-faithful size of `own`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool

from steering_study.circuits.edge_sets import random_circuits
from steering_study.circuits.graph import Graph
from steering_study.circuits.nesting import circuits_of
from steering_study.circuits.rankings import MAIN_METRIC, Ranking

WITHOUT = {
    "without_q": ("attn_q",),
    "without_k": ("attn_k",),
    "without_qk": ("attn_q", "attn_k"),
    "without_v": ("attn_v",),
    "without_mlp": ("mlp",),
}  # kinds of destination whose edges are left out


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
        measured: of `circuit_runs.measure_circuits`.
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
