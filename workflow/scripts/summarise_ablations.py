"""Attack success of a model under each ablation, and what it takes from steering."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.ablation_tables import summarise_ablations, with_settings
from steering_study.artifacts import read_table, write_table
from steering_study.jobs import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    verdicts: Sequence[Path],
    settings: Sequence[Path],
    confidence: float,
    seed: int,
    ablations: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `ablations` table."""
    judged = [
        with_settings(read_table(path, table="verdicts"), read_table(beside, table="frozen_settings"))
        for path, beside in zip(verdicts, settings, strict=True)
    ]
    table = summarise_ablations(pd.concat(judged), confidence=confidence, seed=seed)
    write_table(ablations, table, table="ablations", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            verdicts=[Path(path) for path in snakemake.input.verdicts],
            settings=[Path(path) for path in snakemake.input.settings],
            confidence=snakemake.params.confidence,
            seed=snakemake.params.seed,
            ablations=Path(snakemake.output.ablations),
            provenance=provenance,
        )
