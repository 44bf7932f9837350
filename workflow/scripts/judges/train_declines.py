"""Fit the judge `declines` to labelled completions, and measure its error on models left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.judges.declines import write_weights
from steering_study.judges.phrases import PhraseJudge
from steering_study.judges.schemas import DECLINES_ERRORS
from steering_study.judges.training import fit, left_out_errors, own_texts, read_labelled
from steering_study.store.artifacts import write_table
from steering_study.store.job import job, logger
from steering_study.store.yaml_files import read_yaml

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    entries: Sequence[Mapping[str, Any]],
    raw: Sequence[Path],
    own: Path,
    phrases: Path,
    confidence: float,
    seed: int,
    weights: Path,
    errors: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the weights and the `declines_errors` table, which has the phrases on the same texts."""
    said = read_yaml(phrases)["phrases"]
    texts = [*read_labelled(entries, raw, phrases=said, seed=seed), *own_texts(read_yaml(own), seed=seed)]
    fitted = fit(texts)
    write_weights(weights, fitted)
    table = left_out_errors(texts, [PhraseJudge(tuple(said))], confidence=confidence)
    write_table(errors, table, DECLINES_ERRORS, provenance=provenance)
    logger.info("%d texts, %d weights\n%s", len(texts), len(fitted), table.to_string(index=False))


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            entries=snakemake.params.entries,
            raw=[Path(path) for path in snakemake.input.raw],
            own=Path(snakemake.input.own),
            phrases=Path(snakemake.input.phrases),
            confidence=snakemake.params.confidence,
            seed=snakemake.params.seed,
            weights=Path(snakemake.output.weights),
            errors=Path(snakemake.output.errors),
            provenance=provenance,
        )
