"""Dose-response curve of a vector on validation prompts, and the coefficient of each direction."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.judges.schemas import VERDICTS
from steering_study.steering.coefficients import dose_response
from steering_study.steering.schemas import DOSE_RESPONSE
from steering_study.store.artifacts import read_json, read_table, write_json, write_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    base: Path,
    steered: Path,
    model: str,
    confidence: float,
    max_degenerate: float,
    fixed: Mapping[str, float] | None,
    curve: Path,
    coefficients: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `dose_response` table and the chosen coefficients."""
    table = dose_response(
        read_table(base, VERDICTS),
        read_table(steered, VERDICTS),
        model=model,
        confidence=confidence,
        max_degenerate=max_degenerate,
        fixed=fixed,
    )
    chosen = table[table["selected"]].set_index("condition")["coefficient"]
    write_table(curve, table, DOSE_RESPONSE, provenance=provenance)
    write_json(coefficients, {str(condition): float(value) for condition, value in chosen.items()})


if "snakemake" in globals():
    with job(snakemake) as provenance:
        of_dim = snakemake.input.get("dim_coefficients")
        main(
            base=Path(snakemake.input.base),
            steered=Path(snakemake.input.steered),
            model=snakemake.wildcards.model,
            confidence=snakemake.params.confidence,
            max_degenerate=snakemake.params.max_degenerate,
            fixed=read_json(Path(of_dim)) if of_dim else snakemake.params.fixed,
            curve=Path(snakemake.output.curve),
            coefficients=Path(snakemake.output.coefficients),
            provenance=provenance,
        )
