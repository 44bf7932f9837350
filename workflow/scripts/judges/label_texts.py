"""Texts whose kind is known: a user's file of labels, or what the corpus of the bundled models says of its own texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.judges.labels import read_labels
from steering_study.judges.schemas import LABELLED_TEXTS
from steering_study.pocket.labels import sample_labelled
from steering_study.store.artifacts import write_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    labels: Path | None,
    is_bundled: bool,
    n_prompts: int,
    seed: int,
    labelled: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `labelled_texts` table.

    The corpus says nothing of the texts of other models: a study of those alone, without labels, gets an empty table.

    Args:
        labels: the user's file, if there is one.
        is_bundled: whether a bundled model is in the study.
        n_prompts: of each label, drawn from the corpus.
    """
    if labels is not None:
        table = read_labels(labels)
    elif is_bundled:
        table = sample_labelled(n_prompts, seed=seed).assign(source="corpus")
    else:
        table = pd.DataFrame(columns=LABELLED_TEXTS.names)
    write_table(labelled, table, LABELLED_TEXTS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        labels = snakemake.input.get("labels")
        main(
            labels=Path(labels) if labels else None,
            is_bundled=snakemake.params.is_bundled,
            n_prompts=snakemake.params.n_prompts,
            seed=snakemake.params.seed,
            labelled=Path(snakemake.output.labelled),
            provenance=provenance,
        )
