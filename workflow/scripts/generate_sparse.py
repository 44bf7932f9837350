"""Text under sparse vectors: retuned ones on validation prompts, or every sparse vector on test prompts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from steering_study.artifacts import read_json, read_table, write_table
from steering_study.generation import add_fluency, respond, steered_requests, steering_of
from steering_study.jobs import job
from steering_study.models import read_model
from steering_study.sparse_inputs import SparseInputs, by_method
from steering_study.sparse_tables import choose_factors, settings_table
from steering_study.sparsify import (
    Grid,
    Sparse,
    plain_vectors,
    shared_vectors,
    variants,
    with_chosen_factors,
    with_factors,
)

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    vector_card: Path,
    coefficients: Path,
    inputs: SparseInputs,
    sparse: Sequence[Sparse],
    method: str,
    split: str,
    sets: Sequence[str] | None,
    main_sets: Sequence[str],
    limit: int | None,
    dropout_prompts: int,
    contexts: Mapping[str, str],
    max_new_tokens: int,
    batch_size: int,
    scored_batch_size: int,
    responses: Path,
    settings: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `responses` table of every vector, and the `sparse_settings` table that says what they are.

    Args:
        sets: test sets that are answered; None: all prompts of the split.
        main_sets: those of them that vectors beyond the paper's answer; none, all prompts.
        limit: most prompts of each set, of each label where there are no sets, in the order of the table of prompts.
        dropout_prompts: the same for random draws.
    """
    frame = read_table(prompts, table="prompts")
    frame = frame[(frame["split"] == split) & (frame["source"].isin(list(sets)) if sets else True)]
    of_set = frame.groupby("source" if sets else "label", sort=False)

    def answered_by(each: Sparse) -> pd.DataFrame:
        if each.criterion == "dropout":
            return of_set.head(dropout_prompts)
        chosen = of_set.head(limit or len(frame))
        return (
            chosen[chosen["source"].isin(list(main_sets))] if main_sets and each.is_beyond_paper else chosen
        )

    doses = read_json(coefficients)
    layer = read_json(vector_card)["layer"]
    requests = pd.concat(
        [
            steered_requests(
                answered_by(each),
                layers=[layer],
                coefficients={name: [value * each.factor(name)] for name, value in doses.items()},
            ).assign(setting=number)
            for number, each in enumerate(sparse)
        ],
        ignore_index=True,
    )
    vectors = torch.from_numpy(np.stack([each.of(inputs.vectors[method]) for each in sparse])).float()
    model = read_model(card)
    table = respond(
        model,
        requests,
        steering_of(requests, vectors[list(requests["setting"])]),
        method=method,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
    )
    table = add_fluency(model, table, contexts=contexts, batch_size=scored_batch_size)
    write_table(responses, table, table="responses", provenance=provenance)
    write_table(settings, settings_table(sparse), table="sparse_settings", provenance=provenance)


def retuned(inputs: SparseInputs, method: str, options: Mapping[str, Any]) -> list[Sparse]:
    """The vectors whose coefficient is searched anew."""
    return variants(
        inputs.vectors[method],
        inputs.effects[method],
        "retuned",
        criteria=options["criteria"],
        percents=options["percents"],
    )


def all_vectors(
    inputs: SparseInputs,
    method: str,
    *,
    grid: Grid,
    options: Mapping[str, Any],
    shared_percents: Sequence[float],
    factors: Mapping[tuple[str, float], Mapping[str, float]],
    seed: int,
) -> list[Sparse]:
    """Every vector that is tested: plain, rescaled, retuned, and what methods share."""
    vector, effects = inputs.vectors[method], inputs.effects[method]
    of_few = {"criteria": options["criteria"], "percents": options["percents"]}
    masks = {percent: list(kept.values()) for percent, kept in inputs.masks(shared_percents).items()}
    return [
        *plain_vectors(vector, effects, grid, seed=seed),
        *variants(vector, effects, "rescaled", **of_few),
        *with_chosen_factors(retuned(inputs, method, options), factors),
        *(shared_vectors(masks) if len(inputs.vectors) > 1 else []),
    ]


if "snakemake" in globals():
    with job(snakemake) as provenance:
        files, params = snakemake.input, snakemake.params
        method = snakemake.wildcards.method
        read = SparseInputs.read(
            by_method(params.methods, files.vectors), by_method(params.methods, files.edge_scores)
        )
        if snakemake.wildcards.run == "sparse_sweep":
            planned = with_factors(retuned(read, method, params.variants), params.variants["factors"])
            taken = {
                "split": "validation",
                "sets": None,
                "main_sets": (),
                "limit": params.variants["prompts"],
            }
        else:
            planned = all_vectors(
                read,
                method,
                grid=Grid(params.percents, params.thresholds, params.dropout["draws"]),
                options=params.variants,
                shared_percents=params.shared_percents,
                factors=choose_factors(
                    read_table(Path(files.sweep_settings), table="sparse_settings"),
                    read_table(Path(files.base_verdicts), table="verdicts"),
                    read_table(Path(files.sweep_verdicts), table="verdicts"),
                    max_degenerate=params.max_degenerate,
                ),
                seed=params.seed,
            )
            taken = {
                "split": "test",
                "sets": params.sets,
                "main_sets": params.main_sets,
                "limit": params.limit,
            }
        main(
            prompts=Path(files.prompts),
            card=Path(files.card),
            vector_card=Path(files.vector_card),
            coefficients=Path(files.coefficients),
            inputs=read,
            sparse=planned,
            method=method,
            **taken,
            dropout_prompts=params.dropout["prompts"],
            contexts=params.contexts,
            max_new_tokens=params.max_new_tokens,
            batch_size=params.batch_size,
            scored_batch_size=params.scored_batch_size,
            responses=Path(snakemake.output.responses),
            settings=Path(snakemake.output.settings),
            provenance=provenance,
        )
