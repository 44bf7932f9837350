"""What was measured for each claim on average of models, and the verdict that all models share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.attention.schemas import ABLATION_MEANS
from steering_study.claims.criteria import average_claims
from steering_study.claims.quantities import averaged_ablations
from steering_study.claims.schemas import CLAIM_MEANS, CLAIMS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job

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
    tables = {model: read_table(path, CLAIMS) for model, path in claims.items()}
    exact = averaged_ablations(read_table(ablations, ABLATION_MEANS)) if ablations else {}
    write_table(means, average_claims(tables, exact), CLAIM_MEANS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            claims=dict(zip(snakemake.params.models, map(Path, snakemake.input.claims), strict=True)),
            ablations=Path(found) if (found := snakemake.input.get("ablations")) else None,
            means=Path(snakemake.output.means),
            provenance=provenance,
        )
