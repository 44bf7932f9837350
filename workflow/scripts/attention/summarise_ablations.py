"""Attack success of a model under each ablation, and what it takes from steering."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.attention.schemas import ABLATIONS, FROZEN_SETTINGS
from steering_study.attention.tables import summarise_ablations, with_settings
from steering_study.judges.schemas import VERDICTS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job

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
        with_settings(read_table(path, VERDICTS), read_table(beside, FROZEN_SETTINGS))
        for path, beside in zip(verdicts, settings, strict=True)
    ]
    table = summarise_ablations(pd.concat(judged), confidence=confidence, seed=seed)
    write_table(ablations, table, ABLATIONS, provenance=provenance)


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
