"""How often each judge is wrong on texts whose kind is known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.judges import build_judges
from steering_study.judges.declines import read_weights
from steering_study.judges.errors import confusion, judge_texts
from steering_study.judges.schemas import JUDGE_ERRORS, LABELLED_TEXTS, LABELLED_VERDICTS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.store.yaml_files import read_yaml

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    labelled: Path,
    phrases: Path,
    weights: Path,
    judges: Sequence[str],
    classifiers: Mapping[str, Mapping[str, Any]],
    confidence: float,
    verdicts: Path,
    errors: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the tables `labelled_verdicts` and `judge_errors`; both are empty where nothing is labelled."""
    texts = read_table(labelled, LABELLED_TEXTS)
    # without texts no classifier is loaded
    built = build_judges(
        judges if len(texts) else (),
        phrases=read_yaml(phrases)["phrases"],
        weights=read_weights(weights),
        classifiers=classifiers,
    )
    found = judge_texts(texts, list(built.values()))
    write_table(verdicts, found, LABELLED_VERDICTS, provenance=provenance)
    counted = confusion(texts, found, confidence=confidence)
    write_table(errors, counted, JUDGE_ERRORS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            labelled=Path(snakemake.input.labelled),
            phrases=Path(snakemake.input.phrases),
            weights=Path(snakemake.input.weights),
            judges=snakemake.params.judges,
            classifiers=snakemake.params.classifiers,
            confidence=snakemake.params.confidence,
            verdicts=Path(snakemake.output.verdicts),
            errors=Path(snakemake.output.errors),
            provenance=provenance,
        )
