"""Contrast pairs: desired and undesired responses of each prompt, and why some are dropped."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.judges.schemas import VERDICTS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.contrast import pair_responses
from steering_study.vectors.schemas import PAIRS

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    base: tuple[Path, Path],
    contrast: tuple[Path, Path],
    max_tokens: int,
    pairs: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `pairs` table from responses and their verdicts."""
    table = pair_responses(with_verdicts(*base), with_verdicts(*contrast), max_tokens=max_tokens)
    part = (table["split"] == "validation").map({True: "validation", False: "training"})
    for (split, label), rows in table.groupby([part, "label"]):
        if not rows["kept"].any():
            raise ValueError(
                f"no {label} {split} prompt gives a contrast pair: {rows['reason'].value_counts().to_dict()}; "
                "learned vectors need a DIM vector that steers, and a model that refuses harmful prompts only"
            )
    write_table(pairs, table, PAIRS, provenance=provenance)


def with_verdicts(responses: Path, verdicts: Path) -> pd.DataFrame:
    """Responses with refused and degenerate; both tables have one order."""
    flags = read_table(verdicts, VERDICTS)[["prompt_id", "refused", "degenerate"]]
    table = read_table(responses, RESPONSES)
    assert list(flags["prompt_id"]) == list(table["prompt_id"])
    return table.assign(refused=flags["refused"], degenerate=flags["degenerate"])


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            base=(Path(snakemake.input.base_responses), Path(snakemake.input.base_verdicts)),
            contrast=(Path(snakemake.input.responses), Path(snakemake.input.verdicts)),
            max_tokens=snakemake.params.max_tokens,
            pairs=Path(snakemake.output.pairs),
            provenance=provenance,
        )
