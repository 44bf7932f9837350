"""Cosine similarity of every pair of a model's steering vectors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.store.artifacts import read_arrays, write_table
from steering_study.store.job import job
from steering_study.vectors.agreement import cosine
from steering_study.vectors.schemas import COSINE

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    vectors: Sequence[Path], methods: Sequence[str], *, table: Path, provenance: Mapping[str, Any]
) -> None:
    """Write the `cosine` table, each method with itself included."""
    read = {
        method: read_arrays(path, names=["vector"])["vector"]
        for method, path in zip(methods, vectors, strict=True)
    }
    rows = [
        {"method_a": a, "method_b": b, "cosine": cosine(read[a], read[b])} for a in methods for b in methods
    ]
    write_table(table, pd.DataFrame(rows), COSINE, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            [Path(path) for path in snakemake.input.vectors],
            snakemake.params.methods,
            table=Path(snakemake.output.cosine),
            provenance=provenance,
        )
