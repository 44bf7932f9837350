"""Greedy responses with the behaviour that steering should bring about, to make contrast pairs of (METHOD 3)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.artifacts import read_table, write_table
from steering_study.generation import add_fluency, generate_responses, steered_requests
from steering_study.inputs import chosen_coefficients, read_vectors
from steering_study.jobs import job
from steering_study.models import read_model
from steering_study.vectors.contrast import ask_to_refuse, contrast_prompts

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    vector: Path,
    vector_card: Path,
    coefficients: Mapping[str, Sequence[float]],
    contexts: Mapping[str, str],
    max_new_tokens: int,
    batch_size: int | None,
    scored_batch_size: int | None,
    responses: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Ask for refusals in the prompt where the config says how; steer for everything else."""
    model = read_model(card)
    frame = contrast_prompts(read_table(prompts, table="prompts"))
    directions = read_vectors(vector, vector_card)
    requests = steered_requests(frame, layers=list(directions), coefficients=coefficients)
    asked = ask_to_refuse(requests["prompt"], contexts)
    is_asked = (requests["label"] == "harmless") & (asked is not None)
    parts = []
    for is_steered, rows in requests.groupby(~is_asked):
        sent = rows if asked is None or is_steered else rows.assign(prompt=asked, layer=-1, coefficient=0.0)
        made = generate_responses(
            model,
            sent.reset_index(drop=True),
            method="dim" if is_steered else "none",
            vectors=directions if is_steered else {},
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
        )
        parts.append(made.assign(prompt=list(rows["prompt"])))  # without the context
    table = pd.concat(parts, ignore_index=True)
    table = add_fluency(model, table, contexts=contexts, batch_size=scored_batch_size)
    write_table(responses, table, table="responses", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            vector=Path(snakemake.input.vector),
            vector_card=Path(snakemake.input.vector_card),
            coefficients=chosen_coefficients(Path(snakemake.input.coefficients)),
            contexts=snakemake.params.contexts,
            max_new_tokens=snakemake.params.max_new_tokens,
            batch_size=snakemake.params.batch_size,
            scored_batch_size=snakemake.params.scored_batch_size,
            responses=Path(snakemake.output.responses),
            provenance=provenance,
        )
