"""Fetch one public prompt file: from the mirror where there is one, else from its pinned URL."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.store.downloads import fetch_pinned
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None

if "snakemake" in globals():
    with job(snakemake):
        fetch_pinned(
            file=snakemake.params.file,
            url=snakemake.params.url,
            sha256=snakemake.params.sha256,
            n_bytes=snakemake.params.n_bytes,
            mirror=snakemake.params.mirror,
            out=Path(snakemake.output[0]),
            instead="set prompts.source to bundled",
        )
