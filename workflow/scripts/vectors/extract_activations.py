"""Mean `resid_pre` of each class of training prompts, for every block and post-instruction position."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.models.loading import read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_table, write_tensors
from steering_study.store.job import job
from steering_study.vectors.dim import mean_residuals

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *, prompts: Path, card: Path, batch_size: int | None, means: Path, provenance: Mapping[str, Any]
) -> None:
    """Write tensors `harmful` and `harmless`, [layer, position, d_model] in float64."""
    frame = read_table(prompts, PROMPTS)
    model = read_model(card)
    tensors = {}
    for label, rows in frame[frame["split"] == "train"].groupby("label"):
        ids = model.render(list(rows["text"]))
        tensors[str(label)] = mean_residuals(
            model, ids, n_positions=len(model.card.post_instruction_ids), batch_size=batch_size
        )
    write_tensors(means, tensors, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            batch_size=snakemake.params.batch_size,
            means=Path(snakemake.output.means),
            provenance=provenance,
        )
