"""Unsteered greedy responses to the prompts of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.artifacts import read_table, write_table
from steering_study.generation import add_fluency, base_requests, check_room, generate_responses
from steering_study.jobs import job
from steering_study.models import read_model

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    splits: Sequence[str],
    contexts: Mapping[str, str],
    max_new_tokens: int,
    batch_size: int | None,
    scored_batch_size: int | None,
    responses: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Generate with the model of the card and write the `responses` table."""
    requests = base_requests(read_table(prompts, table="prompts"))
    requests = requests[requests["split"].isin(splits)].reset_index(drop=True)
    model = read_model(card)
    check_room(model, requests, contexts)
    table = generate_responses(
        model,
        requests,
        method="none",
        vectors={},
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
    )
    table = add_fluency(model, table, contexts=contexts, batch_size=scored_batch_size)
    write_table(responses, table, table="responses", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            splits=snakemake.params.splits,
            contexts=snakemake.params.contexts,
            max_new_tokens=snakemake.params.max_new_tokens,
            batch_size=snakemake.params.batch_size,
            scored_batch_size=snakemake.params.scored_batch_size,
            responses=Path(snakemake.output.responses),
            provenance=provenance,
        )
