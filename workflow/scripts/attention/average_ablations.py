"""What each ablation takes from steering, averaged over models and main test sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.attention.schemas import ABLATION_MEANS, FROZEN_SETTINGS
from steering_study.attention.tables import average_ablations, with_settings
from steering_study.judges.schemas import VERDICTS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    files: Mapping[str, Sequence[tuple[Path, Path]]],
    datasets: Sequence[str],
    confidence: float,
    seed: int,
    ablations: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `ablation_means` table.

    Args:
        files: verdicts and settings of each method, by model.
    """
    verdicts = {
        model: pd.concat(
            [
                with_settings(read_table(path, VERDICTS), read_table(beside, FROZEN_SETTINGS))
                for path, beside in pairs
            ]
        )
        for model, pairs in files.items()
    }
    table = average_ablations(verdicts, datasets=datasets, confidence=confidence, seed=seed)
    write_table(ablations, table, ABLATION_MEANS, provenance=provenance)


def by_model(
    models: Sequence[str], verdicts: Sequence[str], settings: Sequence[str]
) -> dict[str, list[tuple[Path, Path]]]:
    """Files of each model; each has as many, one model after the other."""
    pairs = [(Path(path), Path(beside)) for path, beside in zip(verdicts, settings, strict=True)]
    n_each = len(pairs) // len(models)
    return {model: pairs[i * n_each : (i + 1) * n_each] for i, model in enumerate(models)}


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            files=by_model(snakemake.params.models, snakemake.input.verdicts, snakemake.input.settings),
            datasets=snakemake.params.datasets,
            confidence=snakemake.params.confidence,
            seed=snakemake.params.seed,
            ablations=Path(snakemake.output.means),
            provenance=provenance,
        )
