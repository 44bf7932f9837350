"""Faithfulness runs of a method's circuits, and of what stands beside them, on its own steered responses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from steering_study.artifacts import read_table, write_table
from steering_study.circuit_sets import NamedCircuit, beside, curve, label_runs, own_ranking, read_rankings
from steering_study.circuit_tables import minimum_size
from steering_study.circuits import size_grid
from steering_study.faithfulness import measure_circuits
from steering_study.inputs import SteeringFiles, read_steered_responses
from steering_study.jobs import by_method, job, logger

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    files: SteeringFiles,
    *,
    rankings: Mapping[str, Path],
    method: str,
    datasets: Mapping[str, str],
    limit: int | None,
    step: int | None,
    sizes_percent: Sequence[float],
    threshold: float,
    draws: int,
    seed: int,
    batch_size: int | None,
    max_values: int,
    circuit_runs: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `circuit_runs` table: curves of the method's own rankings, then what stands beside its circuit."""
    inputs = read_steered_responses(files, datasets=datasets, limit=limit)
    found = {name: read_rankings(read_table(path, table="rankings")) for name, path in rankings.items()}

    def run(circuits: Sequence[NamedCircuit]) -> pd.DataFrame:
        parts = []
        for chosen in inputs.steered_sets:
            measured = measure_circuits(
                inputs.steered(chosen),
                *inputs.token_ids(chosen),
                np.stack([circuit.mask for circuit in circuits]),
                batch_size=batch_size,
                max_values=max_values,
            )
            parts.append(label_runs(circuits, measured, chosen))
        return pd.concat(parts, ignore_index=True)

    graph = inputs.graph
    sizes = size_grid(graph.n_edges, step=step, shares_percent=sizes_percent)
    curves = run([circuit for each in found[method] for circuit in curve(graph, each, method, sizes)])
    smallest = minimum_size(curves, threshold=threshold)
    logger.info("minimum-faithful circuit: %d of %d edges", smallest, graph.n_edges)
    own = {name: own_ranking(each) for name, each in found.items()}
    others = run(beside(graph, own, method, smallest, draws=draws, rng=np.random.default_rng(seed)))
    table = pd.concat([curves, others], ignore_index=True)
    write_table(circuit_runs, table, table="circuit_runs", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            SteeringFiles.of(snakemake.input),
            rankings=by_method(snakemake.params.methods, snakemake.input.rankings),
            method=snakemake.wildcards.method,
            datasets=snakemake.params.datasets,
            limit=snakemake.params.limit,
            step=snakemake.params.step,
            sizes_percent=snakemake.params.sizes_percent,
            threshold=snakemake.params.threshold,
            draws=snakemake.params.draws,
            seed=snakemake.params.seed,
            batch_size=snakemake.params.batch_size,
            max_values=snakemake.params.max_values,
            circuit_runs=Path(snakemake.output.circuit_runs),
            provenance=provenance,
        )
