"""Text with attention weights or values held at the base run, or inputs cleared of the vector, in every scope."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.attention.ablations import parse_ablation
from steering_study.attention.freezing import Treatment, generate_frozen
from steering_study.attention.schemas import FROZEN_SETTINGS
from steering_study.attention.tables import settings_table
from steering_study.models.loading import read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_json, read_table, write_table
from steering_study.store.job import job
from steering_study.texts.options import Decoding
from steering_study.texts.responses import add_likelihoods, response_table, steered_requests
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.files import read_vector

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
    decoding: Decoding,
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
    frame = read_table(prompts, PROMPTS)
    tested = frame[(frame["split"] == "test") & frame["source"].isin(list(sets))]
    selected_prompts = tested.groupby("source", sort=False).head(limit or len(tested))
    doses = {condition: [value] for condition, value in read_json(coefficients).items()}
    asked = steered_requests(selected_prompts, layers=[layer], coefficients=doses)

    table = settings_table(ablations)
    requests = pd.concat([asked.assign(setting=number) for number in table["setting"]], ignore_index=True)
    parsed = {name: parse_ablation(name) for name in table["ablation"]}
    chosen_settings = table.set_index("setting").loc[requests["setting"]]
    generated = generate_frozen(
        model,
        model.render(list(requests["prompt"])),
        [
            Treatment(coefficient * direction, scope, parsed[ablation])
            for coefficient, scope, ablation in zip(
                requests["coefficient"], chosen_settings["scope"], chosen_settings["ablation"], strict=True
            )
        ],
        layer=layer,
        max_new_tokens=decoding.max_new_tokens,
        batch_size=decoding.batch_size,
        label=f"{model.card.name} {method} frozen",
    )
    written = response_table(model, requests, generated, method=method)
    written = add_likelihoods(model, written, batch_size=decoding.scored_batch_size)
    write_table(responses, written, RESPONSES, provenance=provenance)
    write_table(settings, table, FROZEN_SETTINGS, provenance=provenance)


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
            decoding=Decoding(**snakemake.params.decoding),
            responses=Path(snakemake.output.responses),
            settings=Path(snakemake.output.settings),
            provenance=provenance,
        )
