"""The vector of a learned method: the trial that validation pairs prefer (docs/vectors.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.store.artifacts import (
    read_json,
    read_table,
    read_tensors,
    write_json,
    write_table,
    write_tensors,
)
from steering_study.store.job import job
from steering_study.vectors.schemas import TRAINING, TRIALS
from steering_study.vectors.selection import select_trial

if TYPE_CHECKING:
    snakemake: Any = None

SEARCHED = ("trial", "learning_rate", "batch_size", "epochs", "seed", "phi")


def main(
    *,
    vectors: Sequence[Path],
    tables: Sequence[Path],
    curves: Sequence[Path],
    dim_card: Path,
    trials: Path,
    training: Path,
    vector: Path,
    vector_card: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the selected vector with its card, and all trials with their curves."""
    table = pd.concat([read_table(path, TRIALS) for path in tables], ignore_index=True)
    table = select_trial(table.sort_values("trial", ignore_index=True))
    best = table[table["selected"]].iloc[0]
    direction = {
        int(number): row
        for part in map(read_tensors, vectors)
        for number, row in zip(part["trials"], part["vectors"], strict=True)
    }[best["trial"]]
    dim = read_json(dim_card)
    write_table(trials, table, TRIALS, provenance=provenance)
    joined = pd.concat([read_table(path, TRAINING) for path in curves], ignore_index=True)
    write_table(training, joined, TRAINING, provenance=provenance)
    write_tensors(vector, {"vector": direction}, provenance=provenance)
    write_json(
        vector_card,
        {
            **{key: dim[key] for key in ("model", "revision", "layer")},
            "method": best["method"],
            "norm": float(best["norm"]),
            "trial": {key: None if pd.isna(best[key]) else best[key].item() for key in SEARCHED},
        },
    )


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            vectors=[Path(path) for path in snakemake.input.vectors],
            tables=[Path(path) for path in snakemake.input.trials],
            curves=[Path(path) for path in snakemake.input.training],
            dim_card=Path(snakemake.input.dim_card),
            trials=Path(snakemake.output.trials),
            training=Path(snakemake.output.training),
            vector=Path(snakemake.output.vector),
            vector_card=Path(snakemake.output.vector_card),
            provenance=provenance,
        )
