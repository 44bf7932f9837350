"""The quality tables of all models as one CSV file, targets missed first."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.quality.schemas import QUALITY
from steering_study.store.artifacts import read_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(*, tables: Sequence[Path], csv: Path) -> None:
    """Write measures with a target before those without, missed ones first."""
    joined = pd.concat([read_table(path, QUALITY) for path in tables], ignore_index=True)
    order = joined["met"].map({"no": 0, "yes": 1, "": 2})
    joined.assign(order=order).sort_values("order", kind="stable").drop(columns="order").to_csv(
        csv, index=False, float_format="%.4g", lineterminator="\n"
    )


if "snakemake" in globals():
    with job(snakemake):
        main(tables=[Path(path) for path in snakemake.input], csv=Path(snakemake.output[0]))
