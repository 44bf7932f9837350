"""Greedy responses under a method's vector, or under one a layer: over a grid of coefficients, or at the chosen ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.artifacts import read_table, write_table
from steering_study.generation import add_fluency, generate_responses, steered_requests
from steering_study.inputs import chosen_coefficients, read_vectors
from steering_study.jobs import job
from steering_study.models import read_model

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    vectors: Path,
    vector_card: Path | None,
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
    """Steer the prompts of a split, each label in its own condition (test: harmless ones in both), and write the `responses` table.

    Args:
        vectors: a vector, whose layer `vector_card` names, or vectors of several layers: each steers all prompts.
    """
    frame = read_table(prompts, table="prompts")
    directions = read_vectors(vectors, vector_card)
    model = read_model(card)
    table = generate_responses(
        model,
        steered_requests(
            frame[frame["split"] == split],
            layers=list(directions),
            coefficients=coefficients,
            bystanders=split == "test",
        ),
        method=method,
        vectors=directions,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
    )
    table = add_fluency(model, table, contexts=contexts, batch_size=scored_batch_size)
    write_table(responses, table, table="responses", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        chosen_file, vector_card = (snakemake.input.get(name) for name in ("coefficients", "vector_card"))
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            vectors=Path(snakemake.input.vectors),
            vector_card=Path(vector_card) if vector_card else None,
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
