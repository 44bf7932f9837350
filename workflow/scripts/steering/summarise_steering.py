"""Attack success and flip rates of a model on the test prompts, with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.judges.panel import is_target
from steering_study.judges.schemas import VERDICTS
from steering_study.steering.agreement import compare_judges
from steering_study.steering.schemas import ASR, BYSTANDERS, FLIPS, JUDGE_AGREEMENT
from steering_study.steering.success import summarise_asr, summarise_bystanders, summarise_flips
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    base: Path,
    steered: Sequence[Path],
    model: str,
    confidence: float,
    asr: Path,
    judge_agreement: Path,
    flips: Path,
    bystanders: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the tables `asr` and `judge_agreement` (unsteered and every method), `flips` and `bystanders` (every method)."""
    unsteered = read_table(base, VERDICTS)
    found = pd.concat([read_table(path, VERDICTS) for path in steered], ignore_index=True)
    tested, others = found[is_target(found)], found[~is_target(found)]
    rows = pd.concat([unsteered[unsteered["split"] == "test"], tested], ignore_index=True)
    write_table(asr, summarise_asr(rows, model=model, confidence=confidence), ASR, provenance=provenance)
    compared = compare_judges(rows, model=model, confidence=confidence)
    write_table(judge_agreement, compared, JUDGE_AGREEMENT, provenance=provenance)
    counted = summarise_flips(unsteered, tested, model=model, confidence=confidence)
    write_table(flips, counted.drop(columns=["layer", "asr"]), FLIPS, provenance=provenance)
    beside = summarise_bystanders(unsteered, others, model=model, confidence=confidence)
    write_table(bystanders, beside, BYSTANDERS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            base=Path(snakemake.input.base),
            steered=[Path(path) for path in snakemake.input.steered],
            model=snakemake.wildcards.model,
            confidence=snakemake.params.confidence,
            asr=Path(snakemake.output.asr),
            judge_agreement=Path(snakemake.output.judge_agreement),
            flips=Path(snakemake.output.flips),
            bystanders=Path(snakemake.output.bystanders),
            provenance=provenance,
        )
