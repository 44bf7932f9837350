"""Score a model on validation prompts: refusal, perplexity, and the steering windows of DIM over depth."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.judges.schemas import VERDICTS
from steering_study.quality.schemas import CANDIDATE_QUALITY, WINDOWS
from steering_study.quality.scores import (
    is_to_choose_by,
    quality_table,
    score_unsteered,
    score_windows,
    steering_windows,
)
from steering_study.steering.success import summarise_flips
from steering_study.store.artifacts import read_json, read_table, write_table
from steering_study.store.job import job
from steering_study.texts.schemas import RESPONSES

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    base_responses: Path,
    base_verdicts: Path,
    vector_card: Path,
    steered: Path,
    model: str,
    confidence: float,
    windows: Path,
    quality: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `windows` table, and the `quality` table of what needs no test prompt."""
    base = read_table(base_verdicts, VERDICTS)
    pooled = read_table(steered, VERDICTS).assign(dataset="validation")
    curves = summarise_flips(base, pooled, model=model, confidence=confidence)
    found = steering_windows(curves, model=model)
    responses = read_table(base_responses, RESPONSES)
    rows = score_unsteered(
        responses[is_to_choose_by(responses)], base[is_to_choose_by(base)], confidence=confidence
    )
    rows += score_windows(found, layer=read_json(vector_card)["layer"])
    write_table(windows, found, WINDOWS, provenance=provenance)
    write_table(quality, quality_table(rows, model=model), CANDIDATE_QUALITY, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            **{name: Path(path) for name, path in snakemake.input.items()},
            model=snakemake.wildcards.model,
            confidence=snakemake.params.confidence,
            windows=Path(snakemake.output.windows),
            quality=Path(snakemake.output.quality),
            provenance=provenance,
        )
