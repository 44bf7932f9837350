"""Rank a method's edges in every way that the study compares: pooled, signed, by patching set, by metric, by half."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.circuits.graph import Graph
from steering_study.circuits.rankings import rank, rankings_table
from steering_study.circuits.schemas import ATTRIBUTION, RANKINGS
from steering_study.store.artifacts import read_arrays, read_json, read_table, write_table
from steering_study.store.job import job

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
    found = rank(graph, read_arrays(edge_scores), read_table(attribution, ATTRIBUTION))
    write_table(rankings, rankings_table(found), RANKINGS, provenance=provenance)


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
