"""Write the bundled prompt sets from the pocket corpus."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.pocket.prompts import build_prompt_sets
from steering_study.store.artifacts import write_csv
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(counts: Mapping[str, int], *, seed: int, folder: Path) -> None:
    """Write one CSV a set."""
    for stem, frame in build_prompt_sets(counts, seed=seed).items():
        write_csv(folder / f"{stem}.csv", frame)


if "snakemake" in globals():
    with job(snakemake):
        main(snakemake.params.counts, seed=snakemake.params.seed, folder=Path(snakemake.output.folder))
