"""Summary tables of a model's circuits: faithfulness, completeness, kinds of edges, overlap, exact interchange, text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.artifacts import read_json, read_table, write_table
from steering_study.circuit_sets import own_ranking, read_rankings
from steering_study.circuit_tables import (
    edge_census,
    edge_shares,
    fit_interchange,
    minimum_size,
    summarise_completeness,
    summarise_faithfulness,
    summarise_overlap,
    top_edges,
)
from steering_study.circuits import size_grid
from steering_study.graph import Graph
from steering_study.jobs import by_method, job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    vector_card: Path,
    interchange: Path,
    tables: Mapping[str, Mapping[str, Path]],
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
        tables: files by table (attribution, rankings, circuit_runs) and method.
    """
    graph = Graph.of(read_json(card), layer=read_json(vector_card)["layer"])
    read = {
        table: {method: read_table(path, table=table) for method, path in files.items()}
        for table, files in tables.items()
    }
    own = {method: own_ranking(read_rankings(table)) for method, table in read["rankings"].items()}
    smallest = {
        method: minimum_size(runs, threshold=threshold) for method, runs in read["circuit_runs"].items()
    }
    found = {
        "completeness": summarise_completeness(pd.concat(read["attribution"].values())),
        "faithfulness": pd.concat(
            summarise_faithfulness(
                runs,
                method=method,
                n_edges=graph.n_edges,
                threshold=threshold,
                confidence=confidence,
                seed=seed,
            )
            for method, runs in read["circuit_runs"].items()
        ),
        "edge_census": edge_census(graph),
        "edge_shares": pd.concat(
            edge_shares(graph, ranking, method=method, size=smallest[method], top=n_top)
            for method, ranking in own.items()
        ),
        "top_edges": pd.concat(
            top_edges(graph, ranking, method=method, size=smallest[method], n=n_drawn)
            for method, ranking in own.items()
        ),
        "overlap": summarise_overlap(
            graph, own, size_grid(graph.n_edges, step=step, shares_percent=sizes_percent)
        ),
        "interchange_fit": pd.concat(
            fit_interchange(rows)
            for _, rows in read_table(interchange, table="interchange").groupby("method", sort=False)
        ),
    }
    for table, frame in found.items():
        write_table(outputs[table], frame, table=table, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            card=Path(snakemake.input.card),
            vector_card=Path(snakemake.input.vector_card),
            interchange=Path(snakemake.input.interchange),
            tables={
                table: by_method(snakemake.params.methods, snakemake.input[table])
                for table in ("attribution", "rankings", "circuit_runs")
            },
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
