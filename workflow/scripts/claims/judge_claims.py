"""Measure a model's quantities for the paper's claims, and judge each claim by its criterion."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.claims.criteria import judge_claims, read_claims
from steering_study.claims.measurements import MEASUREMENTS, TABLES, measure_all
from steering_study.claims.quantities import Setting
from steering_study.claims.schemas import CLAIMS
from steering_study.store.artifacts import read_table, rule_of, write_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    listed: Path,
    tables: Mapping[str, Path],
    model: str,
    setting: Setting,
    claims: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `claims` table.

    Args:
        listed: claims.csv.
        tables: the model's summary tables, by their names.

    Raises:
        ValueError: if claims.csv has a mistake.
    """
    known = read_claims(listed, MEASUREMENTS)
    read = {name: read_table(path, TABLES[name]) for name, path in tables.items()}
    rules = {name: rule_of(path) for name, path in tables.items()}
    quantities = measure_all(read, rules, setting)
    table = judge_claims(known, quantities, model=model, confidence=setting.confidence)
    write_table(claims, table, CLAIMS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            listed=Path(snakemake.input.listed),
            tables={name: Path(snakemake.input[name]) for name in snakemake.params.tables},
            model=snakemake.wildcards.model,
            setting=Setting(
                main_sets=snakemake.params.main_sets,
                unseen_sets=snakemake.params.unseen_sets,
                confidence=snakemake.params.confidence,
                seed=snakemake.params.seed,
            ),
            claims=Path(snakemake.output.claims),
            provenance=provenance,
        )
