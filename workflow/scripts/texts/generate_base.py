"""Unsteered greedy responses to the prompts of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.models.loading import read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.texts.options import Decoding
from steering_study.texts.responses import base_requests, generate_responses
from steering_study.texts.schemas import RESPONSES

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    splits: Sequence[str],
    decoding: Decoding,
    responses: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Generate with the model of the card and write the `responses` table."""
    requests = base_requests(read_table(prompts, PROMPTS))
    requests = requests[requests["split"].isin(splits)].reset_index(drop=True)
    model = read_model(card)
    table = generate_responses(
        model,
        requests,
        method="none",
        vectors={},
        decoding=decoding,
    )
    table = table.assign(unsteered_logprobs=table["logprobs"])
    write_table(responses, table, RESPONSES, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            splits=snakemake.params.splits,
            decoding=Decoding(**snakemake.params.decoding),
            responses=Path(snakemake.output.responses),
            provenance=provenance,
        )
