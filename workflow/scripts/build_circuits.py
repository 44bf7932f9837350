"""Rank a method's edges in every way that the study compares: pooled, signed, by patching set, by metric, by half."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.artifacts import read_arrays, read_json, read_table, write_table
from steering_study.circuit_sets import rank, rankings_table
from steering_study.graph import Graph
from steering_study.jobs import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    vector_card: Path,
    edge_scores: Path,
    attribution: Path,
    rankings: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `rankings` table."""
    graph = Graph.of(read_json(card), layer=read_json(vector_card)["layer"])
    found = rank(graph, read_arrays(edge_scores), read_table(attribution, table="attribution"))
    write_table(rankings, rankings_table(found), table="rankings", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            card=Path(snakemake.input.card),
            vector_card=Path(snakemake.input.vector_card),
            edge_scores=Path(snakemake.input.edge_scores),
            attribution=Path(snakemake.input.attribution),
            rankings=Path(snakemake.output.rankings),
            provenance=provenance,
        )
