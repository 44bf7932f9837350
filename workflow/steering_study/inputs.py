"""What several scripts read in the same way: a model, a method's vector, its coefficients, and the responses that it flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from steering_study.artifacts import read_json, read_table, read_tensors
from steering_study.forced import SteeredModel
from steering_study.generation import read_vector
from steering_study.jobs import by_method
from steering_study.models import ChatModel, read_model
from steering_study.patching_sets import flipped_prompts, patching_sets
from steering_study.prompts import TokenIds

if TYPE_CHECKING:
    from steering_study.graph import Graph


@dataclass(frozen=True)
class SteeringFiles:
    """Files of a method's steering and of its test run."""

    card: Path
    vector: Path
    vector_card: Path
    base_responses: Path
    base_verdicts: Path
    responses: Path
    verdicts: Path

    @classmethod
    def of(cls, inputs: Any) -> SteeringFiles:
        """From the inputs of a rule, which have the same names."""
        return cls(**{name: Path(inputs[name]) for name in cls.__dataclass_fields__})

    @classmethod
    def of_methods(cls, inputs: Any, methods: Sequence[str]) -> dict[str, SteeringFiles]:
        """From the inputs of a rule that takes all methods: what a method has of its own is a list, named in the plural."""
        own = {
            name: by_method(methods, inputs[f"{name}s"])
            for name in ("vector", "vector_card", "response", "verdict")
        }
        return {
            method: cls(
                **{name: Path(inputs[name]) for name in ("card", "base_responses", "base_verdicts")},
                vector=own["vector"][method],
                vector_card=own["vector_card"][method],
                responses=own["response"][method],
                verdicts=own["verdict"][method],
            )
            for method in methods
        }


@dataclass(frozen=True)
class SteeredResponses:
    """A loaded model, its steering direction and the patching sets, by name."""

    model: ChatModel
    layer: int
    direction: Float[Tensor, "d_model"]
    sets: Mapping[str, pd.DataFrame]

    @property
    def steered_sets(self) -> list[pd.DataFrame]:
        """Those whose forced text is the steered response."""
        return [rows for name, rows in self.sets.items() if name.endswith("_steer")]

    @property
    def graph(self) -> Graph:
        """The graph of the model steered at the layer."""
        return SteeredModel(self.model, self.layer, self.direction).graph

    def steered(self, rows: pd.DataFrame) -> SteeredModel:
        """The model under the coefficient of a set."""
        (coefficient,) = rows["coefficient"].unique()
        return SteeredModel(self.model, self.layer, float(coefficient) * self.direction)

    def token_ids(self, rows: pd.DataFrame) -> tuple[list[TokenIds], list[TokenIds]]:
        """Prompts and responses of a set."""
        prompts = self.model.render(list(rows["prompt"]))
        return prompts, [tuple(ids) for ids in rows["token_ids"]]


def read_steered_responses(
    files: SteeringFiles, *, datasets: Mapping[str, str], limit: int | None
) -> SteeredResponses:
    """Load a model and the responses to at most `limit` prompts of each test set that steering flipped."""
    return responses_of(read_model(files.card), files, datasets=datasets, limit=limit)


def responses_of(
    model: ChatModel, files: SteeringFiles, *, datasets: Mapping[str, str], limit: int | None
) -> SteeredResponses:
    """The same with a model that is loaded already."""
    flipped = flipped_prompts(
        read_table(files.base_verdicts, table="verdicts"),
        read_table(files.verdicts, table="verdicts"),
        datasets=datasets,
        limit=limit,
    )
    sets = patching_sets(
        flipped,
        read_table(files.base_responses, table="responses"),
        read_table(files.responses, table="responses"),
    )
    return SteeredResponses(
        model,
        read_json(files.vector_card)["layer"],
        read_vector(files.vector),
        dict(sets),
    )


def chosen_coefficients(path: Path) -> dict[str, list[float]]:
    """The chosen coefficient of each condition, as a grid of one."""
    return {condition: [value] for condition, value in read_json(path).items()}


def read_vectors(vectors: Path, card: Path | None) -> dict[int, Float[Tensor, "d_model"]]:
    """Vectors by the layer that they are added at: one, whose layer its card names, or all of a file of several layers."""
    if card is not None:
        return {read_json(card)["layer"]: read_vector(vectors)}
    stored = read_tensors(vectors, names=["layers", "vectors"])
    return dict(zip(stored["layers"].tolist(), stored["vectors"].float(), strict=True))
