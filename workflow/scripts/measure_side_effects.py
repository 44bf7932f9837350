"""What a method's vector costs on prompts that it should leave alone, over the coefficients of its curve."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.artifacts import read_json, read_table, read_tensors, write_table
from steering_study.conditions import BYSTANDERS
from steering_study.generation import read_vector
from steering_study.jobs import job
from steering_study.models import read_model
from steering_study.side_effects import forced_costs
from steering_study.summaries import summarise_side_effects

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    vector: Path,
    vector_card: Path,
    curve: Path,
    base_responses: Path,
    flip_rate: float,
    confidence: float,
    seed: int,
    batch_size: int | None,
    side_effects: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `side_effects` table: each coefficient, and which is at the matched flip rate."""
    model = read_model(card)
    responses = read_table(base_responses, table="responses").query("split == 'test'")
    doses = read_table(curve, table="dose_response")
    costs = {}
    for condition, rows in doses.groupby("condition"):
        bystanders = responses[responses["dataset"] == BYSTANDERS[str(condition)]]
        if bystanders.empty:
            bystanders = responses[responses["label"] == BYSTANDERS[str(condition)]]
        costs[condition] = forced_costs(
            model,
            model.render(list(bystanders["prompt"])),
            [tuple(ids) for ids in bystanders["token_ids"]],
            vector=read_vector(read_tensors(vector)),
            layer=read_json(vector_card)["layer"],
            coefficients=list(rows["coefficient"]),
            batch_size=batch_size,
        )
    table = summarise_side_effects(doses, costs, flip_rate=flip_rate, confidence=confidence, seed=seed)
    write_table(side_effects, table, table="side_effects", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            card=Path(snakemake.input.card),
            vector=Path(snakemake.input.vector),
            vector_card=Path(snakemake.input.vector_card),
            curve=Path(snakemake.input.curve),
            base_responses=Path(snakemake.input.base_responses),
            flip_rate=snakemake.params.flip_rate,
            confidence=snakemake.params.confidence,
            seed=snakemake.params.seed,
            batch_size=snakemake.params.batch_size,
            side_effects=Path(snakemake.output.side_effects),
            provenance=provenance,
        )
