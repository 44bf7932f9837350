"""What each method's vector costs on prompts that it should leave alone, over the coefficients of its curve."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from steering_study.models.loading import read_model
from steering_study.steering.schemas import DOSE_RESPONSE, SIDE_EFFECTS
from steering_study.steering.side_effects import forced_costs, summarise_side_effects
from steering_study.store.artifacts import read_json, read_table, write_table
from steering_study.store.job import job
from steering_study.store.names import by_method
from steering_study.texts.conditions import BYSTANDERS
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.files import read_vector

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    vectors: Mapping[str, Path],
    vector_cards: Mapping[str, Path],
    curves: Mapping[str, Path],
    base_responses: Path,
    flip_rate: float,
    confidence: float,
    seed: int,
    batch_size: int | None,
    side_effects: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write the `side_effects` table of each method: each coefficient, and which is at the matched flip rate."""
    model = read_model(card)
    responses = read_table(base_responses, RESPONSES).query("split == 'test'")
    for method, curve in tqdm(curves.items(), unit="method", disable=None, leave=False):
        doses = read_table(curve, DOSE_RESPONSE)
        costs = {}
        for condition, rows in doses.groupby("condition"):
            bystanders = responses[responses["dataset"] == BYSTANDERS[str(condition)]]
            if bystanders.empty:
                bystanders = responses[responses["label"] == BYSTANDERS[str(condition)]]
            costs[condition] = forced_costs(
                model,
                model.render(list(bystanders["prompt"])),
                [tuple(ids) for ids in bystanders["token_ids"]],
                vector=read_vector(vectors[method]),
                layer=read_json(vector_cards[method])["layer"],
                coefficients=list(rows["coefficient"]),
                batch_size=batch_size,
            )
        table = summarise_side_effects(doses, costs, flip_rate=flip_rate, confidence=confidence, seed=seed)
        write_table(side_effects[method], table, SIDE_EFFECTS, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        of_methods = {
            name: by_method(snakemake.params.methods, snakemake.input[name])
            for name in ("vectors", "vector_cards", "curves")
        }
        main(
            card=Path(snakemake.input.card),
            **of_methods,
            base_responses=Path(snakemake.input.base_responses),
            flip_rate=snakemake.params.flip_rate,
            confidence=snakemake.params.confidence,
            seed=snakemake.params.seed,
            batch_size=snakemake.params.batch_size,
            side_effects=by_method(snakemake.params.methods, snakemake.output.side_effects),
            provenance=provenance,
        )
