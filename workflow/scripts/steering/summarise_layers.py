"""Attack success and flip rates of every method over the layers that it steers at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.judges.schemas import VERDICTS
from steering_study.steering.schemas import LAYERS
from steering_study.steering.success import summarise_layers
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    base: Path,
    steered: Sequence[Path],
    model: str,
    confidence: float,
    layers: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `layers` table of a model."""
    verdicts = pd.concat([read_table(path, VERDICTS) for path in steered], ignore_index=True)
    table = summarise_layers(read_table(base, VERDICTS), verdicts, model=model, confidence=confidence)
    write_table(layers, table, LAYERS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            base=Path(snakemake.input.base),
            steered=[Path(path) for path in snakemake.input.steered],
            model=snakemake.wildcards.model,
            confidence=snakemake.params.confidence,
            layers=Path(snakemake.output.layers),
            provenance=provenance,
        )
