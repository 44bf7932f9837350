"""Greedy responses under a steering vector: over a grid of coefficients, or at the chosen ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.artifacts import read_json, read_table, read_tensors, write_table
from steering_study.generation import add_fluency, generate_responses, read_vector, steered_requests
from steering_study.inputs import chosen_coefficients
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
    method: str,
    split: str,
    coefficients: Mapping[str, Sequence[float]],
    contexts: Mapping[str, str],
    max_new_tokens: int,
    batch_size: int | None,
    scored_batch_size: int | None,
    responses: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Steer the prompts of a split, each label in its own condition (test: harmless ones in both), and write the `responses` table."""
    frame = read_table(prompts, table="prompts")
    layer = read_json(vector_card)["layer"]
    model = read_model(card)
    table = generate_responses(
        model,
        steered_requests(
            frame[frame["split"] == split],
            layers=[layer],
            coefficients=coefficients,
            bystanders=split == "test",
        ),
        method=method,
        vectors={layer: read_vector(read_tensors(vector))},
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
            vector=Path(snakemake.input.vector),
            vector_card=Path(snakemake.input.vector_card),
            method=snakemake.wildcards.method,
            split=snakemake.params.split,
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
