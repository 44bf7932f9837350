"""Unpack a GGUF file to a folder as the hub has them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.models.gguf_files import unpack_gguf
from steering_study.store.job import job, logger

if TYPE_CHECKING:
    snakemake: Any = None


def main(*, file: Path, sha256: str | None, folder: Path) -> None:
    """Write the folder."""
    origin = unpack_gguf(file, folder, sha256=sha256)
    logger.info("%s: %s, sha256 %s", origin.name, origin.quantisation, origin.sha256)


if "snakemake" in globals():
    with job(snakemake):
        main(
            file=Path(snakemake.input.file),
            sha256=snakemake.params.sha256,
            folder=Path(snakemake.output.folder),
        )
