"""Verdicts on a table of responses: refused or not, looping, readable.

The floors of fluency come from the unsteered validation texts: those of this table if it is the unsteered
one, else those of the verdicts on it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.judges import build_judges
from steering_study.judges.panel import fluency_floors, judge_fluency, judge_refusals
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
    judges: Mapping[str, str],
    classifiers: Mapping[str, Mapping[str, Any]],
    max_repetition: float,
    quantile: float,
    base_verdicts: Path | None,
    verdicts: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Judge the responses and write the `verdicts` table."""
    table = read_table(responses, RESPONSES)
    built = build_judges(
        judges.values(),
        phrases=read_yaml(phrases)["phrases"],
        classifiers=classifiers,
    )
    table = judge_refusals(table, {label: built[name] for label, name in judges.items()})
    table = table.assign(
        logprob_mean=table["logprob_refused"].where(table["refused"], table["logprob_complied"])
    )
    base = table if base_verdicts is None else read_table(base_verdicts, VERDICTS)
    floors = fluency_floors(base, quantile=quantile)
    table = judge_fluency(table, floors, max_repetition=max_repetition)
    write_table(verdicts, table[VERDICTS.names], VERDICTS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        base = snakemake.input.get("base_verdicts")
        main(
            responses=Path(snakemake.input.responses),
            phrases=Path(snakemake.input.phrases),
            judges=snakemake.params.judges,
            classifiers=snakemake.params.classifiers,
            max_repetition=snakemake.params.max_repetition,
            quantile=snakemake.params.quantile,
            base_verdicts=Path(base) if base else None,
            verdicts=Path(snakemake.output.verdicts),
            provenance=provenance,
        )
