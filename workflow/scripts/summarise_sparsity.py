"""What is left of a model's steering at each sparsity, how long each criterion keeps it, and what methods share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.artifacts import read_json, read_table, write_table
from steering_study.jobs import by_method, job
from steering_study.sparse_inputs import SparseInputs
from steering_study.sparse_tables import (
    overlap_table,
    shared_table,
    summarise_kl,
    summarise_retention,
    summarise_sparse_circuits,
    summarise_sparsity,
)

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    base: Path,
    sparse_kl: Path,
    sparse_runs: Path,
    tables: Mapping[str, Mapping[str, Path]],
    inputs: SparseInputs,
    main_sets: Sequence[str],
    shared_percents: Sequence[float],
    retained: float,
    confidence: float,
    seed: int,
    outputs: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write the summary tables of a model's sparse vectors.

    Args:
        tables: files by table (verdicts, sparse_settings) and method.
    """
    read = {
        table: {method: read_table(path, table=table) for method, path in files.items()}
        for table, files in tables.items()
    }
    d_model = read_json(card)["d_model"]
    unsteered = read_table(base, table="verdicts")
    steered = pd.concat(read["verdicts"].values(), ignore_index=True)
    settings = pd.concat(
        [table.assign(method=method) for method, table in read["sparse_settings"].items()], ignore_index=True
    )
    found = {
        "sparsity": summarise_sparsity(unsteered, steered, settings, confidence=confidence),
        "retention": summarise_retention(
            unsteered,
            steered,
            settings,
            main_sets=main_sets,
            retained=retained,
            confidence=confidence,
            seed=seed,
        ),
        "sparsity_kl": summarise_kl(
            read_table(sparse_kl, table="sparse_kl"), confidence=confidence, seed=seed
        ),
        "sparse_faithfulness": summarise_sparse_circuits(
            read_table(sparse_runs, table="sparse_runs"), confidence=confidence, seed=seed
        ),
        "iou": overlap_table(read["sparse_settings"], d_model=d_model),
        "shared_dimensions": shared_table(inputs.masks(shared_percents), d_model=d_model),
    }
    for table, frame in found.items():
        write_table(outputs[table], frame, table=table, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        files, params = snakemake.input, snakemake.params

        main(
            card=Path(files.card),
            base=Path(files.base),
            sparse_kl=Path(files.sparse_kl),
            sparse_runs=Path(files.sparse_runs),
            tables={name: by_method(params.methods, files[name]) for name in ("verdicts", "sparse_settings")},
            inputs=SparseInputs.read(
                by_method(params.methods, files.vectors),
                by_method(params.methods, files.edge_scores),
                by_method(params.methods, files.attribution),
            ),
            main_sets=params.main_sets,
            shared_percents=params.shared_percents,
            retained=params.retained,
            confidence=params.confidence,
            seed=params.seed,
            outputs={name: Path(path) for name, path in snakemake.output.items()},
            provenance=provenance,
        )
