"""Summary tables of a model's circuits: faithfulness, completeness, kinds of edges, overlap, exact interchange, text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.circuits.faithfulness import minimum_size, size_grid, summarise_faithfulness
from steering_study.circuits.graph import Graph
from steering_study.circuits.interchange import fit_interchange
from steering_study.circuits.rankings import own_ranking, read_rankings
from steering_study.circuits.schemas import (
    ATTRIBUTION,
    CIRCUIT_RUNS,
    COMPLETENESS,
    EDGE_CENSUS,
    EDGE_SHARES,
    FAITHFULNESS,
    INTERCHANGE,
    INTERCHANGE_FIT,
    OVERLAP,
    RANKINGS,
    TOP_EDGES,
)
from steering_study.circuits.tables import (
    edge_census,
    edge_shares,
    summarise_completeness,
    summarise_overlap,
    top_edges,
)
from steering_study.store.artifacts import read_json, read_table, write_table
from steering_study.store.job import job
from steering_study.store.names import by_method

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    vector_card: Path,
    interchange: Path,
    attribution: Mapping[str, Path],
    rankings: Mapping[str, Path],
    circuit_runs: Mapping[str, Path],
    step: int | None,
    sizes_percent: Sequence[float],
    threshold: float,
    n_top: int,
    n_drawn: int,
    confidence: float,
    seed: int,
    outputs: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write each summary table.

    Args:
        attribution, rankings, circuit_runs: by method.
    """
    graph = Graph.of(read_json(card), layer=read_json(vector_card)["layer"])
    own = {
        method: own_ranking(read_rankings(read_table(path, RANKINGS))) for method, path in rankings.items()
    }
    runs = {method: read_table(path, CIRCUIT_RUNS) for method, path in circuit_runs.items()}
    smallest = {method: minimum_size(of_method, threshold=threshold) for method, of_method in runs.items()}
    frames = {
        COMPLETENESS: summarise_completeness(
            pd.concat([read_table(path, ATTRIBUTION) for path in attribution.values()])
        ),
        FAITHFULNESS: pd.concat(
            summarise_faithfulness(
                of_method,
                method=method,
                n_edges=graph.n_edges,
                threshold=threshold,
                confidence=confidence,
                seed=seed,
            )
            for method, of_method in runs.items()
        ),
        EDGE_CENSUS: edge_census(graph),
        EDGE_SHARES: pd.concat(
            edge_shares(graph, ranking, method=method, size=smallest[method], top=n_top)
            for method, ranking in own.items()
        ),
        TOP_EDGES: pd.concat(
            top_edges(graph, ranking, method=method, size=smallest[method], n=n_drawn)
            for method, ranking in own.items()
        ),
        OVERLAP: summarise_overlap(
            graph, own, size_grid(graph.n_edges, step=step, shares_percent=sizes_percent)
        ),
        INTERCHANGE_FIT: pd.concat(
            fit_interchange(of_method)
            for _, of_method in read_table(interchange, INTERCHANGE).groupby("method", sort=False)
        ),
    }
    for table, frame in frames.items():
        write_table(outputs[table.name], frame, table, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            card=Path(snakemake.input.card),
            vector_card=Path(snakemake.input.vector_card),
            interchange=Path(snakemake.input.interchange),
            attribution=by_method(snakemake.params.methods, snakemake.input.attribution),
            rankings=by_method(snakemake.params.methods, snakemake.input.rankings),
            circuit_runs=by_method(snakemake.params.methods, snakemake.input.circuit_runs),
            step=snakemake.params.step,
            sizes_percent=snakemake.params.sizes_percent,
            threshold=snakemake.params.threshold,
            n_top=snakemake.params.n_top,
            n_drawn=snakemake.params.n_drawn,
            confidence=snakemake.params.confidence,
            seed=snakemake.params.seed,
            outputs={name: Path(path) for name, path in snakemake.output.items()},
            provenance=provenance,
        )
