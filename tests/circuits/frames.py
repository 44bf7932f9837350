"""Made-up circuit runs of a small graph, consistent with each other, for tests of tables, figures and the page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steering_study.circuits.faithfulness import minimum_size, summarise_faithfulness
from steering_study.circuits.graph import Graph
from steering_study.circuits.interchange import fit_interchange, label_effects, sample_edges
from steering_study.circuits.rankings import own_ranking, rank, rankings_table
from steering_study.circuits.tables import (
    edge_census,
    edge_shares,
    summarise_completeness,
    summarise_overlap,
    summarise_text,
    top_edges,
)
from steering_study.circuits.variants import beside, curve, label_runs

GRAPH = Graph(4, 2, 4, 2)
SETS = ("harmful_base", "harmful_steer", "harmless_base", "harmless_steer")
SIZES = (5, 20, 60, GRAPH.n_edges)
N = 6  # responses of a set
INTERVAL = {"confidence": 0.95, "seed": 0}


def attribution(method: str, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The `attribution` table and the scores that go with it."""
    rows, arrays = [], {}
    for name in SETS:
        for metric in ("logit_difference", "kl_1"):
            scores = rng.normal(size=(N, GRAPH.n_edges)).astype(np.float32)
            arrays[f"{name}.{metric}.edges"] = scores
            outgoing = scores[:, GRAPH.edges[0] == 0].sum(1)
            label = name.split("_")[0]
            for i, value in enumerate(map(float, outgoing)):
                rows.append((name, metric, f"{label}-{i:03d}", i % 2, 2 + i % 3, value * 1.01, value))
    columns = ["patching_set", "metric", "prompt_id", "half", "n_positions", "change", "outgoing"]
    return pd.DataFrame(rows, columns=columns).assign(method=method, n_tokens=10), arrays


def rankings(method: str, rng: np.random.Generator):
    table, arrays = attribution(method, rng)
    return rank(GRAPH, arrays, table)


def circuit_runs(found, method: str, rng: np.random.Generator) -> pd.DataFrame:
    """The `circuit_runs` table in which a circuit carries what its share of edges says, and some noise."""
    own = {name: own_ranking(each) for name, each in found.items()}
    circuits = [circuit for each in found[method] for circuit in curve(GRAPH, each, method, SIZES)]
    circuits += beside(GRAPH, own, method, 20, draws=2, rng=rng)
    shares = [np.sqrt(circuit.mask.sum() / GRAPH.n_edges) for circuit in circuits]
    parts = []
    for label in ("harmful", "harmless"):
        responses = pd.DataFrame(
            {
                "dataset": label,
                "prompt_id": [f"{label}-{i:03d}" for i in range(N)],
                "half": [i % 2 for i in range(N)],
            }
        )
        measured = pd.DataFrame(
            [
                (row, i, -2.0 - row, 3.0 + row, -2.0 - row + (5 + 2 * row) * share)
                for i, share in enumerate(shares)
                for row in range(N)
            ],
            columns=["row", "circuit", "base", "steer", "value"],
        ).assign(n_positions=2)
        parts.append(label_runs(circuits, measured, responses))
    return pd.concat(parts, ignore_index=True)


def circuit_summaries(methods: tuple[str, ...], seed: int = 0) -> dict[str, pd.DataFrame]:
    """Every summary table of a model's circuits, by name."""
    rng = np.random.default_rng(seed)
    found = {method: rankings(method, rng) for method in methods}
    runs = {method: circuit_runs(found, method, rng) for method in methods}
    own = {method: own_ranking(each) for method, each in found.items()}
    sizes = {method: minimum_size(each, threshold=0.85) for method, each in runs.items()}
    sampled = sample_edges(GRAPH, 3, rng=rng)
    effects = pd.DataFrame(
        [
            {"row": row, "set": i, "effect": float(rng.normal()), "n_positions": 2}
            for i in range(len(sampled))
            for row in range(2)
        ]
    )
    scores = rng.normal(size=(2, GRAPH.n_src, GRAPH.n_dst)) * GRAPH.edge_mask
    interchange = pd.concat(
        [
            label_effects(sampled, effects, scores).assign(method=m, dataset=d)
            for m in methods
            for d in ("harmful", "harmless")
        ]
    )
    sets = (("harmful", "bypass", True), ("harmless", "induce", False))
    verdicts = pd.DataFrame(
        [
            (method, condition, dataset, carrier, refused_by_base != (carrier in ("circuit", "all")), i == 0)
            for method in methods
            for dataset, condition, refused_by_base in sets
            for carrier in ("none", "circuit", "complement", "all")
            for i in range(10)
        ],
        columns=["method", "condition", "dataset", "carrier", "refused", "degenerate"],
    )
    n_edges = {"none": 0, "circuit": 20, "complement": GRAPH.n_edges - 20, "all": GRAPH.n_edges}
    return {
        "completeness": summarise_completeness(pd.concat([attribution(m, rng)[0] for m in methods])),
        "faithfulness": pd.concat(
            [
                summarise_faithfulness(each, method=m, n_edges=GRAPH.n_edges, threshold=0.85, **INTERVAL)
                for m, each in runs.items()
            ]
        ),
        "edge_census": edge_census(GRAPH),
        "edge_shares": pd.concat(
            [edge_shares(GRAPH, each, method=m, size=sizes[m], top=10) for m, each in own.items()]
        ),
        "top_edges": pd.concat(
            [top_edges(GRAPH, each, method=m, size=sizes[m], n=30) for m, each in own.items()]
        ),
        "overlap": summarise_overlap(GRAPH, own, SIZES),
        "interchange": interchange,
        "interchange_fit": pd.concat(
            [fit_interchange(interchange[interchange["method"] == m]) for m in methods]
        ),
        "circuit_asr": summarise_text(verdicts, n_edges=n_edges, confidence=0.95),
    }


def stored_rankings(method: str = "dim", seed: int = 0) -> pd.DataFrame:
    """The `rankings` table of a method."""
    return rankings_table(rankings(method, np.random.default_rng(seed)))
