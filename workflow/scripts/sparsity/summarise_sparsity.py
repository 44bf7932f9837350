"""What is left of a model's steering at each sparsity, how long each criterion keeps it, and what methods share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.judges.schemas import VERDICTS
from steering_study.sparsity.effects import SparseInputs
from steering_study.sparsity.retention import summarise_retention
from steering_study.sparsity.schemas import (
    IOU,
    RETENTION,
    SHARED_DIMENSIONS,
    SPARSE_FAITHFULNESS,
    SPARSE_KL,
    SPARSE_RUNS,
    SPARSE_SETTINGS,
    SPARSITY,
    SPARSITY_KL,
)
from steering_study.sparsity.shared import overlap_table, shared_table
from steering_study.sparsity.tables import summarise_kl, summarise_sparse_circuits, summarise_sparsity
from steering_study.store.artifacts import read_json, read_table, write_table
from steering_study.store.job import job
from steering_study.store.names import by_method

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    base: Path,
    sparse_kl: Path,
    sparse_runs: Path,
    verdicts: Mapping[str, Path],
    sparse_settings: Mapping[str, Path],
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
        verdicts, sparse_settings: by method.
    """
    settings = {method: read_table(path, SPARSE_SETTINGS) for method, path in sparse_settings.items()}
    d_model = read_json(card)["d_model"]
    unsteered = read_table(base, VERDICTS)
    steered = pd.concat([read_table(path, VERDICTS) for path in verdicts.values()], ignore_index=True)
    of_all = pd.concat([own.assign(method=method) for method, own in settings.items()], ignore_index=True)
    frames = {
        SPARSITY: summarise_sparsity(unsteered, steered, of_all, confidence=confidence),
        RETENTION: summarise_retention(
            unsteered,
            steered,
            of_all,
            main_sets=main_sets,
            retained=retained,
            confidence=confidence,
            seed=seed,
        ),
        SPARSITY_KL: summarise_kl(read_table(sparse_kl, SPARSE_KL), confidence=confidence, seed=seed),
        SPARSE_FAITHFULNESS: summarise_sparse_circuits(
            read_table(sparse_runs, SPARSE_RUNS), confidence=confidence, seed=seed
        ),
        IOU: overlap_table(settings, d_model=d_model),
        SHARED_DIMENSIONS: shared_table(inputs.masks(shared_percents), d_model=d_model),
    }
    for table, frame in frames.items():
        write_table(outputs[table.name], frame, table, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        files, params = snakemake.input, snakemake.params

        main(
            card=Path(files.card),
            base=Path(files.base),
            sparse_kl=Path(files.sparse_kl),
            sparse_runs=Path(files.sparse_runs),
            verdicts=by_method(params.methods, files.verdicts),
            sparse_settings=by_method(params.methods, files.sparse_settings),
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
