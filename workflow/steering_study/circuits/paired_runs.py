"""A model with its steering, and its base and steered runs over given responses: what circuits are computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from steering_study.circuits.graph import Graph
from steering_study.circuits.metrics import Metric, metric_of
from steering_study.circuits.traces import Trace, predicting, trace, whole_rows
from steering_study.models.batches import TokenIds
from steering_study.models.blocks import BlockWeights, HeadWeights
from steering_study.models.loading import ChatModel
from steering_study.models.passes import response_batches, response_targets
from steering_study.models.tails import Tail, record_tail
from steering_study.models.weights import read_blocks, read_head


@dataclass(frozen=True)
class SteeredModel:
    """A model with the vector, coefficient and layer that it is steered by."""

    model: ChatModel
    layer: int
    shift: Float[Tensor, "d_model"]  # coefficient * vector

    @cached_property
    def graph(self) -> Graph:
        """Its graph."""
        return Graph.of(vars(self.model.card), layer=self.layer)

    @cached_property
    def blocks(self) -> tuple[BlockWeights, ...]:
        """Weights of the blocks from the steering layer on."""
        return read_blocks(self.model, layer=self.layer)

    @cached_property
    def head(self) -> HeadWeights:
        """Its final norm and unembedding."""
        return read_head(self.model)


@dataclass(frozen=True)
class ForcedRuns:
    """Base and steered run of a batch of given responses."""

    rows: list[int]  # of the list of responses
    tail: Tail
    base: Trace
    steer: Trace
    shift: Float[Tensor, "batch pos d_model"]
    is_response: Bool[Tensor, "batch last"]
    positions: slice  # those that predict the responses

    def metrics(self, head: HeadWeights, names: Sequence[str]) -> dict[str, Metric]:
        """Metrics between the two runs' predictions, by name."""
        with torch.no_grad():
            logits = head.logits(self.base.final), head.logits(self.steer.final)
            return {name: metric_of(name, *logits, is_response=self.is_response) for name in names}


def forced_runs(
    steered: SteeredModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    *,
    batch_size: int | None,
) -> Iterator[ForcedRuns]:
    """Base and steered run of each batch of given responses, longest first."""
    model = steered.model
    batches = response_batches(model, prompts, responses, batch_size=batch_size)
    for rows, batch in batches:
        _, is_response = response_targets(batch, [len(responses[i]) for i in rows])
        tail = record_tail(model, batch, layer=steered.layer)
        shift = (steered.shift.to(tail.resid_pre.device) * batch.mask[..., None]).to(tail.resid_pre.dtype)
        positions = predicting(batch.ids.shape[1], is_response.shape[1])
        with torch.no_grad():
            attention = whole_rows(tail, copies=1)
            base = trace(steered.blocks, tail.resid_pre, attention, positions=positions)
            steer = trace(steered.blocks, tail.resid_pre + shift, attention, positions=positions)
        yield ForcedRuns(rows, tail, base, steer, shift, is_response, positions)
