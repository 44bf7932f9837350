"""Exact effects of single edges, a sample of every kind, and of all edges into a kind together, beside their scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from steering_study.circuits.circuit_runs import measure_interchange
from steering_study.circuits.inputs import SteeringFiles, responses_of
from steering_study.circuits.interchange import label_effects, sample_edges
from steering_study.circuits.rankings import MAIN_METRIC
from steering_study.circuits.schemas import INTERCHANGE
from steering_study.models.loading import read_model
from steering_study.store.artifacts import read_arrays, write_table
from steering_study.store.job import job
from steering_study.store.names import by_method

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    files: Mapping[str, SteeringFiles],
    *,
    edge_scores: Mapping[str, Path],
    datasets: Mapping[str, str],
    limit: int | None,
    n_responses: int,
    edges_per_kind: int,
    seed: int,
    batch_size: int | None,
    max_values: int,
    interchange: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `interchange` table of all methods, on the first responses of each test set.

    Args:
        files, edge_scores: by method.
    """
    model, tables = read_model(next(iter(files.values())).card), []
    for method, of_method in files.items():
        inputs = responses_of(model, of_method, datasets=datasets, limit=limit)
        arrays = read_arrays(edge_scores[method])
        edges = sample_edges(inputs.graph, edges_per_kind, rng=np.random.default_rng(seed))
        for name, of_set in inputs.sets.items():
            if not name.endswith("_steer"):
                continue
            responses = of_set.head(n_responses)
            effects = measure_interchange(
                inputs.steered(responses),
                *inputs.token_ids(responses),
                np.stack([edge_set.mask for edge_set in edges]),
                batch_size=batch_size,
                max_values=max_values,
            )
            scores = inputs.graph.unpack(arrays[f"{name}.{MAIN_METRIC}.edges"][: len(responses)])
            labelled = label_effects(edges, effects, scores)
            tables.append(labelled.assign(method=method, dataset=responses["dataset"].iloc[0]))
    write_table(interchange, pd.concat(tables), INTERCHANGE, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            SteeringFiles.of_methods(snakemake.input, snakemake.params.methods),
            edge_scores=by_method(snakemake.params.methods, snakemake.input.edge_scores),
            datasets=snakemake.params.datasets,
            limit=snakemake.params.limit,
            n_responses=snakemake.params.n_responses,
            edges_per_kind=snakemake.params.edges_per_kind,
            seed=snakemake.params.seed,
            batch_size=snakemake.params.batch_size,
            max_values=snakemake.params.max_values,
            interchange=Path(snakemake.output.interchange),
            provenance=provenance,
        )
