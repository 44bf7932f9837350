"""Score a model on test prompts: refusal, what steering and the controls do, completeness, ablations, windows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.attention.schemas import ABLATIONS
from steering_study.circuits.schemas import COMPLETENESS
from steering_study.judges.schemas import VERDICTS
from steering_study.quality.schemas import QUALITY
from steering_study.quality.scores import (
    is_to_choose_by,
    quality_table,
    score_ablations,
    score_completeness,
    score_steered,
    score_unsteered,
    score_windows,
    steering_windows,
)
from steering_study.steering.schemas import ASR, DOSE_RESPONSE, FLIPS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.texts.schemas import RESPONSES

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
            read_table(base_responses, RESPONSES),
            read_table(base_verdicts, VERDICTS),
        )
    )
    rows = score_unsteered(responses, verdicts, confidence=confidence)
    rows += score_steered(
        read_table(asr, ASR),
        read_table(flips, FLIPS),
        main_sets=main_sets,
        controls=controls,
        confidence=confidence,
    )
    for path in curves:
        curve = read_table(path, DOSE_RESPONSE)
        rows += score_windows(steering_windows(curve, model=model), layer=int(curve["layer"].iloc[0]))
    rows += score_ablations(read_table(ablations, ABLATIONS))
    rows += score_completeness(read_table(completeness, COMPLETENESS))
    write_table(quality, quality_table(rows, model=model), QUALITY, provenance=provenance)


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
