"""One table a model of what the methods' decompositions wrote one by one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.attention.schemas import ATTENTION_MAPS, NEURONS, NODES, SVV_CONCEPTS, SVV_TOKENS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.store.schema import by_name

if TYPE_CHECKING:
    snakemake: Any = None

TABLES = by_name(NODES, SVV_TOKENS, SVV_CONCEPTS, NEURONS, ATTENTION_MAPS)


def main(
    parts: Mapping[str, Sequence[Path]], joined: Mapping[str, Path], *, provenance: Mapping[str, Any]
) -> None:
    """Write each table with the rows of all methods."""
    for name, paths in parts.items():
        rows = pd.concat([read_table(path, TABLES[name]) for path in paths], ignore_index=True)
        write_table(joined[name], rows, TABLES[name], provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            {name: [Path(path) for path in paths] for name, paths in snakemake.input.items()},
            {name: Path(path) for name, path in snakemake.output.items()},
            provenance=provenance,
        )
