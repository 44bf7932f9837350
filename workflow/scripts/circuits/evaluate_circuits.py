"""Faithfulness runs of a method's circuits, and of what stands beside them, on its own steered responses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from steering_study.circuits.circuit_runs import measure_circuits
from steering_study.circuits.faithfulness import minimum_size, size_grid
from steering_study.circuits.inputs import SteeringFiles, read_steered_responses
from steering_study.circuits.rankings import own_ranking, read_rankings
from steering_study.circuits.schemas import CIRCUIT_RUNS, RANKINGS
from steering_study.circuits.variants import NamedCircuit, beside, curve, label_runs
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job, logger
from steering_study.store.names import by_method

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
    ranked = {name: read_rankings(read_table(path, RANKINGS)) for name, path in rankings.items()}

    def run(circuits: Sequence[NamedCircuit]) -> pd.DataFrame:
        runs = []
        for responses in inputs.steered_sets:
            measured = measure_circuits(
                inputs.steered(responses),
                *inputs.token_ids(responses),
                np.stack([circuit.mask for circuit in circuits]),
                batch_size=batch_size,
                max_values=max_values,
            )
            runs.append(label_runs(circuits, measured, responses))
        return pd.concat(runs, ignore_index=True)

    graph = inputs.graph
    sizes = size_grid(graph.n_edges, step=step, shares_percent=sizes_percent)
    curves = run([circuit for ranking in ranked[method] for circuit in curve(graph, ranking, method, sizes)])
    smallest = minimum_size(curves, threshold=threshold)
    logger.info("minimum-faithful circuit: %d of %d edges", smallest, graph.n_edges)
    own = {name: own_ranking(of_method) for name, of_method in ranked.items()}
    others = run(beside(graph, own, method, smallest, draws=draws, rng=np.random.default_rng(seed)))
    table = pd.concat([curves, others], ignore_index=True)
    write_table(circuit_runs, table, CIRCUIT_RUNS, provenance=provenance)


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
