"""Fetch the labelled completions: from the mirror where there is one, else from their pinned URLs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.store.downloads import fetch_pinned
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None

if "snakemake" in globals():
    with job(snakemake):
        for entry, out in zip(snakemake.params.entries, snakemake.output.raw, strict=True):
            fetch_pinned(
                file=entry["file"],
                url=entry["url"],
                sha256=entry["sha256"],
                n_bytes=entry["bytes"],
                mirror=snakemake.params.mirror,
                out=Path(out),
            )
