"""One table a model of what the methods' decompositions wrote one by one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.artifacts import read_table, write_table
from steering_study.jobs import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    parts: Mapping[str, Sequence[Path]], joined: Mapping[str, Path], *, provenance: Mapping[str, Any]
) -> None:
    """Write each table with the rows of all methods."""
    for table, paths in parts.items():
        rows = pd.concat([read_table(path, table=table) for path in paths], ignore_index=True)
        write_table(joined[table], rows, table=table, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            {name: [Path(path) for path in paths] for name, paths in snakemake.input.items()},
            {name: Path(path) for name, path in snakemake.output.items()},
            provenance=provenance,
        )
