"""Score a model on test prompts: refusal, what steering and the controls do, completeness, ablations, windows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.artifacts import read_table, write_table
from steering_study.jobs import job
from steering_study.quality import (
    is_to_choose_by,
    quality_table,
    score_ablations,
    score_completeness,
    score_steered,
    score_unsteered,
    score_windows,
    steering_windows,
)

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    base_responses: Path,
    base_verdicts: Path,
    curves: Sequence[Path],
    asr: Path,
    flips: Path,
    completeness: Path,
    ablations: Path,
    model: str,
    main_sets: Mapping[str, str],
    controls: Sequence[str],
    confidence: float,
    quality: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `quality` table of test prompts; windows alone are of validation prompts, and of each method's own layer."""
    responses, verdicts = (
        table[(table["split"] == "test") & ~is_to_choose_by(table)]
        for table in (
            read_table(base_responses, table="responses"),
            read_table(base_verdicts, table="verdicts"),
        )
    )
    rows = score_unsteered(responses, verdicts, confidence=confidence)
    rows += score_steered(
        read_table(asr, table="asr"),
        read_table(flips, table="flips"),
        main_sets=main_sets,
        controls=controls,
        confidence=confidence,
    )
    for path in curves:
        curve = read_table(path, table="dose_response")
        rows += score_windows(steering_windows(curve, model=model), layer=int(curve["layer"].iloc[0]))
    rows += score_ablations(read_table(ablations, table="ablations"))
    rows += score_completeness(read_table(completeness, table="completeness"))
    write_table(quality, quality_table(rows, model=model), table="quality", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            base_responses=Path(snakemake.input.base_responses),
            base_verdicts=Path(snakemake.input.base_verdicts),
            curves=[Path(path) for path in snakemake.input.curves],
            asr=Path(snakemake.input.asr),
            flips=Path(snakemake.input.flips),
            completeness=Path(snakemake.input.completeness),
            ablations=Path(snakemake.input.ablations),
            model=snakemake.wildcards.model,
            main_sets=snakemake.params.main_sets,
            controls=snakemake.params.controls,
            confidence=snakemake.params.confidence,
            quality=Path(snakemake.output.quality),
            provenance=provenance,
        )
