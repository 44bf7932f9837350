"""Greedy responses under a method's vector, or under one a layer: over a grid of coefficients, or at the chosen ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.models.loading import read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.texts.options import Decoding
from steering_study.texts.responses import add_likelihoods, generate_responses, steered_requests
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.files import chosen_coefficients, read_vectors

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
    decoding: Decoding,
    responses: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Steer the prompts of a split, each label in its own condition (test: harmless ones in both), and write the `responses` table.

    Args:
        vectors: a vector, whose layer `vector_card` names, or vectors of several layers: each steers all prompts.
    """
    frame = read_table(prompts, PROMPTS)
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
        decoding=decoding,
    )
    table = add_likelihoods(model, table, batch_size=decoding.scored_batch_size)
    write_table(responses, table, RESPONSES, provenance=provenance)


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
            decoding=Decoding(**snakemake.params.decoding),
            responses=Path(snakemake.output.responses),
            provenance=provenance,
        )
