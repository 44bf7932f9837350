"""Verdicts on a table of responses: refused or not, looping, readable."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.judges import build_judges
from steering_study.judges.declines import read_weights
from steering_study.judges.panel import judge_again, judge_readability, judge_refusals
from steering_study.judges.schemas import VERDICTS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.store.yaml_files import read_yaml
from steering_study.texts.schemas import RESPONSES

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    responses: Path,
    phrases: Path,
    weights: Path,
    judges: Mapping[str, str],
    second: str | None,
    classifiers: Mapping[str, Mapping[str, Any]],
    max_repetition: float,
    max_improbable: float,
    verdicts: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Judge the responses and write the `verdicts` table."""
    table = read_table(responses, RESPONSES)
    built = build_judges(
        {*judges.values(), second} - {None},
        phrases=read_yaml(phrases)["phrases"],
        weights=read_weights(weights),
        classifiers=classifiers,
    )
    table = judge_refusals(table, {label: built[name] for label, name in judges.items()})
    table = judge_again(table, None if second is None else built[second])
    table = judge_readability(table, max_repetition=max_repetition, max_improbable=max_improbable)
    write_table(verdicts, table[VERDICTS.names], VERDICTS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            responses=Path(snakemake.input.responses),
            phrases=Path(snakemake.input.phrases),
            weights=Path(snakemake.input.weights),
            judges=snakemake.params.judges,
            second=snakemake.params.second,
            classifiers=snakemake.params.classifiers,
            max_repetition=snakemake.params.max_repetition,
            max_improbable=snakemake.params.max_improbable,
            verdicts=Path(snakemake.output.verdicts),
            provenance=provenance,
        )
