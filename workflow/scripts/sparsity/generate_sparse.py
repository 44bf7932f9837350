"""Text under sparse vectors of every method: retuned ones on validation prompts, or every sparse vector on test prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from steering_study.judges.schemas import VERDICTS
from steering_study.models.loading import read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.sparsity.effects import SparseInputs
from steering_study.sparsity.schemas import SPARSE_SETTINGS
from steering_study.sparsity.settings import choose_factors, settings_table
from steering_study.sparsity.sparsify import (
    Grid,
    Sparse,
    first_equal,
    plain_vectors,
    shared_vectors,
    variants,
    with_chosen_factors,
    with_factors,
)
from steering_study.store.artifacts import read_json, read_table, write_table
from steering_study.store.job import job
from steering_study.store.names import by_method
from steering_study.texts.options import Decoding
from steering_study.texts.responses import add_likelihoods, respond, steered_requests, steering_of
from steering_study.texts.schemas import RESPONSES

if TYPE_CHECKING:
    snakemake: Any = None


@dataclass(frozen=True)
class Asked:
    """The prompts that sparse vectors answer.

    prompts: the `prompts` table of one split.
    by: the column whose values are limited one by one: source, or label.
    limit: most prompts of each, in the order of the table; None: all.
    dropout_prompts: the same for random draws.
    main_sets: sources that vectors beyond the paper answer; none: all.
    """

    prompts: pd.DataFrame
    by: str
    limit: int | None
    dropout_prompts: int
    main_sets: Sequence[str] = ()

    def of(self, each: Sparse) -> pd.DataFrame:
        """The prompts that one vector answers."""
        of_set = self.prompts.groupby(self.by, sort=False)
        if each.criterion == "dropout":
            return of_set.head(self.dropout_prompts)
        chosen = of_set.head(self.limit or len(self.prompts))
        if self.main_sets and each.is_beyond_paper:
            return chosen[chosen["source"].isin(list(self.main_sets))]
        return chosen

    def requests(
        self, sparse: Sequence[Sparse], *, layer: int, coefficients: Mapping[str, float]
    ) -> pd.DataFrame:
        """A row a text: each vector's prompts, at its multiple of the coefficient; `setting` numbers the vectors."""
        return pd.concat(
            [
                steered_requests(
                    self.of(each),
                    layers=[layer],
                    coefficients={name: [value * each.factor(name)] for name, value in coefficients.items()},
                ).assign(setting=number)
                for number, each in enumerate(sparse)
            ],
            ignore_index=True,
        )


def main(
    *,
    card: Path,
    asked: Asked,
    vector_cards: Mapping[str, Path],
    coefficients: Mapping[str, Path],
    inputs: SparseInputs,
    sparse: Mapping[str, Sequence[Sparse]],
    decoding: Decoding,
    responses: Mapping[str, Path],
    settings: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write each method's `responses` table, and the `sparse_settings` table that says which vectors wrote them."""
    model = read_model(card)
    for method, planned in sparse.items():
        requests = asked.requests(
            planned,
            layer=read_json(vector_cards[method])["layer"],
            coefficients=read_json(coefficients[method]),
        )
        vectors = torch.from_numpy(
            np.stack([setting.of(inputs.vectors[method]) for setting in planned])
        ).float()
        once, number = same_texts(requests, first_equal(planned))
        table = respond(
            model,
            once,
            steering_of(once, vectors[list(once["setting"])]),
            method=method,
            decoding=decoding,
        )
        table = table.iloc[number].reset_index(drop=True).assign(setting=list(requests["setting"]))
        table = add_likelihoods(model, table, batch_size=decoding.scored_batch_size)
        write_table(responses[method], table, RESPONSES, provenance=provenance)
        write_table(settings[method], settings_table(planned), SPARSE_SETTINGS, provenance=provenance)


def same_texts(requests: pd.DataFrame, first: Sequence[int]) -> tuple[pd.DataFrame, list[int]]:
    """The requests for different texts, and for each request the place of its text among them.

    Args:
        first: for each setting the first with the same vector.
    """
    asked = requests.assign(vector=[first[setting] for setting in requests["setting"]])
    number = asked.groupby(["prompt_id", "condition", "coefficient", "vector"], sort=False).ngroup()
    return requests[~number.duplicated()].reset_index(drop=True), number.tolist()


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


def planned_vectors(
    inputs: SparseInputs, run: str, files: Mapping[str, Any], params: Any
) -> dict[str, list[Sparse]]:
    """The vectors of a run, by method: retuned ones at every multiple of the coefficient, or all at the chosen ones."""
    if run == "sparse_sweep":
        return {
            method: with_factors(retuned(inputs, method, params.variants), params.variants["factors"])
            for method in params.methods
        }
    base = read_table(Path(files["base_verdicts"]), VERDICTS)
    sweeps = {
        name: by_method(params.methods, files[name]) for name in ("sweep_sparse_settings", "sweep_verdicts")
    }
    return {
        method: all_vectors(
            inputs,
            method,
            grid=Grid(params.percents, params.thresholds, params.dropout["draws"]),
            options=params.variants,
            shared_percents=params.shared_percents,
            factors=choose_factors(
                read_table(sweeps["sweep_sparse_settings"][method], SPARSE_SETTINGS),
                base,
                read_table(sweeps["sweep_verdicts"][method], VERDICTS),
                max_degenerate=params.max_degenerate,
                confidence=params.confidence,
            ),
            seed=params.seed,
        )
        for method in params.methods
    }


def asked_prompts(prompts: pd.DataFrame, run: str, params: Any) -> Asked:
    """The prompts of a run: some of each label of the validation split, or of each test set."""
    n_dropout = params.dropout["prompts"]
    if run == "sparse_sweep":
        return Asked(
            prompts[prompts["split"] == "validation"], "label", params.variants["prompts"], n_dropout
        )
    test = prompts[(prompts["split"] == "test") & prompts["source"].isin(list(params.sets))]
    return Asked(test, "source", params.limit, n_dropout, params.main_sets)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        files, params, run = snakemake.input, snakemake.params, snakemake.wildcards.run
        of_methods = {
            name: by_method(params.methods, files[name])
            for name in ("vectors", "edge_scores", "attribution", "vector_cards", "coefficients")
        }
        read = SparseInputs.read(of_methods["vectors"], of_methods["edge_scores"], of_methods["attribution"])
        main(
            card=Path(files.card),
            asked=asked_prompts(read_table(Path(files.prompts), PROMPTS), run, params),
            vector_cards=of_methods["vector_cards"],
            coefficients=of_methods["coefficients"],
            inputs=read,
            sparse=planned_vectors(read, run, files, params),
            decoding=Decoding(**params.decoding),
            responses=by_method(params.methods, snakemake.output.responses),
            settings=by_method(params.methods, snakemake.output.settings),
            provenance=provenance,
        )
