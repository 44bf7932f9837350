"""What several scripts read in the same way: a model, a method's vector, and the responses that it flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from steering_study.circuits.paired_runs import SteeredModel
from steering_study.circuits.patching_sets import flipped_prompts, patching_sets
from steering_study.judges.schemas import VERDICTS
from steering_study.models.batches import TokenIds
from steering_study.models.loading import ChatModel, read_model
from steering_study.store.artifacts import read_json, read_table
from steering_study.store.names import by_method
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.files import read_vector

if TYPE_CHECKING:
    from steering_study.circuits.graph import Graph


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
    """The responses to at most `limit` prompts of each test set that steering flipped, with a model that is loaded already."""
    flipped = flipped_prompts(
        read_table(files.base_verdicts, VERDICTS),
        read_table(files.verdicts, VERDICTS),
        datasets=datasets,
        limit=limit,
    )
    sets = patching_sets(
        flipped,
        read_table(files.base_responses, RESPONSES),
        read_table(files.responses, RESPONSES),
    )
    return SteeredResponses(
        model,
        read_json(files.vector_card)["layer"],
        read_vector(files.vector),
        dict(sets),
    )
