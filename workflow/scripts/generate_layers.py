"""Greedy responses to validation prompts, steered at every layer of the sweep over depth: one batched run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.artifacts import read_table, read_tensors, write_table
from steering_study.generation import add_fluency, generate_responses, steered_requests
from steering_study.inputs import chosen_coefficients
from steering_study.jobs import job
from steering_study.models import read_model

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    directions: Path,
    method: str,
    coefficients: Mapping[str, Sequence[float]],
    contexts: Mapping[str, str],
    max_new_tokens: int,
    batch_size: int | None,
    scored_batch_size: int | None,
    responses: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Steer at each layer with that layer's vector, at every coefficient."""
    stored = read_tensors(directions)
    vectors = dict(zip(stored["layers"].tolist(), stored["vectors"].float(), strict=True))
    frame = read_table(prompts, table="prompts")
    requests = steered_requests(
        frame[frame["split"] == "validation"],
        layers=list(vectors),
        coefficients=coefficients,
    )
    model = read_model(card)
    table = generate_responses(
        model,
        requests,
        method=method,
        vectors=vectors,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
    )
    table = add_fluency(model, table, contexts=contexts, batch_size=scored_batch_size)
    write_table(responses, table, table="responses", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        chosen_file = snakemake.input.get("coefficients")
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            directions=Path(snakemake.input.directions),
            method=snakemake.wildcards.method,
            coefficients=chosen_coefficients(Path(chosen_file))
            if chosen_file
            else snakemake.params.coefficients,
            contexts=snakemake.params.contexts,
            max_new_tokens=snakemake.params.max_new_tokens,
            batch_size=snakemake.params.batch_size,
            scored_batch_size=snakemake.params.scored_batch_size,
            responses=Path(snakemake.output.responses),
            provenance=provenance,
        )
