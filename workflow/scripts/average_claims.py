"""What was measured for each claim on average of models, and the verdict that all models share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.artifacts import read_table, write_table
from steering_study.claims import average_claims
from steering_study.jobs import job
from steering_study.measurements import averaged_ablations

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    claims: Mapping[str, Path],
    ablations: Path | None,
    means: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `claim_means` table.

    Args:
        claims: the `claims` table of each model.
        ablations: the `ablation_means` table, if the study makes one.
    """
    tables = {model: read_table(path, table="claims") for model, path in claims.items()}
    exact = averaged_ablations(read_table(ablations, table="ablation_means")) if ablations else {}
    write_table(means, average_claims(tables, exact), table="claim_means", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            claims=dict(zip(snakemake.params.models, map(Path, snakemake.input.claims), strict=True)),
            ablations=Path(found) if (found := snakemake.input.get("ablations")) else None,
            means=Path(snakemake.output.claims),
            provenance=provenance,
        )
