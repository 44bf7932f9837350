"""Greedy responses with the behaviour that steering should bring about, to make contrast pairs of (docs/vectors.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.models.loading import read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.texts.options import Decoding
from steering_study.texts.responses import add_likelihoods, generate_responses, steered_requests
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.contrast import ask_to_refuse, contrast_prompts
from steering_study.vectors.files import chosen_coefficients, read_vectors

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    vector: Path,
    vector_card: Path,
    coefficients: Mapping[str, Sequence[float]],
    refusal_request: str | None,
    decoding: Decoding,
    responses: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Ask for refusals in the prompt where the config says how; steer for everything else."""
    model = read_model(card)
    frame = contrast_prompts(read_table(prompts, PROMPTS))
    directions = read_vectors(vector, vector_card)
    requests = steered_requests(frame, layers=list(directions), coefficients=coefficients)
    is_asked = (requests["label"] == "harmless") & (refusal_request is not None)
    tables = []
    for is_steered, group in requests.groupby(~is_asked):
        sent = group.reset_index(drop=True)
        if not is_steered and refusal_request is not None:
            sent = sent.assign(
                prompt=ask_to_refuse(sent["prompt"], refusal_request), layer=-1, coefficient=0.0
            )
        made = generate_responses(
            model,
            sent,
            method="dim" if is_steered else "none",
            vectors=directions if is_steered else {},
            decoding=decoding,
        )
        tables.append(made.assign(prompt=list(group["prompt"])))  # without the request
    table = pd.concat(tables, ignore_index=True)
    table = add_likelihoods(model, table, batch_size=decoding.scored_batch_size)
    write_table(responses, table, RESPONSES, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            vector=Path(snakemake.input.vector),
            vector_card=Path(snakemake.input.vector_card),
            coefficients=chosen_coefficients(Path(snakemake.input.coefficients)),
            refusal_request=snakemake.params.refusal_request,
            decoding=Decoding(**snakemake.params.decoding),
            responses=Path(snakemake.output.responses),
            provenance=provenance,
        )
