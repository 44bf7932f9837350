"""Text with attention weights or values held at the base run, or inputs cleared of the vector, in every scope."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.ablation_tables import settings_table
from steering_study.ablations import parse_ablation
from steering_study.artifacts import read_json, read_table, write_table
from steering_study.freezing import Treatment, generate_frozen
from steering_study.generation import add_fluency, read_vector, response_table, steered_requests
from steering_study.jobs import job
from steering_study.models import read_model

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    vector: Path,
    vector_card: Path,
    coefficients: Path,
    method: str,
    sets: Sequence[str],
    limit: int | None,
    ablations: Mapping[str, Sequence[str]],
    contexts: Mapping[str, str],
    max_new_tokens: int,
    batch_size: int | None,
    scored_batch_size: int | None,
    responses: Path,
    settings: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `responses` table of every setting, and the `frozen_settings` table that says what they are.

    Args:
        limit: most prompts of each test set, in the order of the table of prompts.
        ablations: names by scope.
    """
    model = read_model(card)
    direction, layer = read_vector(vector), read_json(vector_card)["layer"]
    frame = read_table(prompts, table="prompts")
    tested = frame[(frame["split"] == "test") & frame["source"].isin(list(sets))]
    chosen = tested.groupby("source", sort=False).head(limit or len(tested))
    doses = {condition: [value] for condition, value in read_json(coefficients).items()}
    asked = steered_requests(chosen, layers=[layer], coefficients=doses)

    table = settings_table(ablations)
    requests = pd.concat([asked.assign(setting=number) for number in table["setting"]], ignore_index=True)
    parsed = {name: parse_ablation(name) for name in table["ablation"]}
    chosen_settings = table.set_index("setting").loc[requests["setting"]]
    found = generate_frozen(
        model,
        model.render(list(requests["prompt"])),
        [
            Treatment(coefficient * direction, scope, parsed[ablation])
            for coefficient, scope, ablation in zip(
                requests["coefficient"], chosen_settings["scope"], chosen_settings["ablation"], strict=True
            )
        ],
        layer=layer,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        label=f"{model.card.name} {method} frozen",
    )
    written = response_table(model, requests, found, method=method)
    written = add_fluency(model, written, contexts=contexts, batch_size=scored_batch_size)
    write_table(responses, written, table="responses", provenance=provenance)
    write_table(settings, table, table="frozen_settings", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            vector=Path(snakemake.input.vector),
            vector_card=Path(snakemake.input.vector_card),
            coefficients=Path(snakemake.input.coefficients),
            method=snakemake.wildcards.method,
            sets=snakemake.params.sets,
            limit=snakemake.params.limit,
            ablations=snakemake.params.ablations,
            contexts=snakemake.params.contexts,
            max_new_tokens=snakemake.params.max_new_tokens,
            batch_size=snakemake.params.batch_size,
            scored_batch_size=snakemake.params.scored_batch_size,
            responses=Path(snakemake.output.responses),
            settings=Path(snakemake.output.settings),
            provenance=provenance,
        )
