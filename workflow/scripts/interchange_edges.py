"""Exact effects of single edges, a sample of every kind, and of all edges into a kind together, beside their scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from steering_study.artifacts import read_arrays, write_table
from steering_study.circuit_sets import MAIN_METRIC
from steering_study.circuit_tables import label_effects, sample_edges
from steering_study.faithfulness import measure_interchange
from steering_study.inputs import SteeringFiles, responses_of
from steering_study.jobs import by_method, job
from steering_study.models import read_model

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
    model, parts = read_model(next(iter(files.values())).card), []
    for method, of_method in files.items():
        inputs = responses_of(model, of_method, datasets=datasets, limit=limit)
        arrays = read_arrays(edge_scores[method])
        edges = sample_edges(inputs.graph, edges_per_kind, rng=np.random.default_rng(seed))
        for name, rows in inputs.sets.items():
            if not name.endswith("_steer"):
                continue
            chosen = rows.head(n_responses)
            effects = measure_interchange(
                inputs.steered(chosen),
                *inputs.token_ids(chosen),
                np.stack([each.mask for each in edges]),
                batch_size=batch_size,
                max_values=max_values,
            )
            scores = inputs.graph.unpack(arrays[f"{name}.{MAIN_METRIC}.edges"][: len(chosen)])
            found = label_effects(edges, effects, scores)
            parts.append(found.assign(method=method, dataset=chosen["dataset"].iloc[0]))
    write_table(interchange, pd.concat(parts), table="interchange", provenance=provenance)


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
