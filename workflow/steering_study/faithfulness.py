"""How much of steering a circuit carries: every circuit on every response, from one base pass a response (METHOD 4).

    faithfulness(C) = (m(C) - m(empty)) / (m(M) - m(empty))

m is the sum of the logit difference over the unmasked response positions; M, the whole graph, is the steered run and
the empty circuit the base run. This module measures m; `circuit_tables` forms the ratios.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steering_study.blocks import BlockWeights, HeadWeights
from steering_study.graph import Graph
from steering_study.metrics import LogitDifference, logit_difference
from steering_study.models import ChatModel
from steering_study.patching import SteeredEdges, run_patched
from steering_study.prompts import TokenIds
from steering_study.runs import response_batches, response_targets
from steering_study.tails import Tail, record_tail
from steering_study.traces import Trace, dense_deltas, predicting, source_deltas, trace, whole_rows
from steering_study.weights import read_blocks, read_head


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

    def metric(self, head: HeadWeights) -> LogitDifference:
        """The logit difference between the two runs' predictions."""
        logits = head.logits(self.base.final), head.logits(self.steer.final)
        return logit_difference(*logits, is_response=self.is_response)


@dataclass(frozen=True)
class SteeredModel:
    """A model with the vector, coefficient and layer that it is steered by."""

    model: ChatModel
    layer: int
    shift: Float[Tensor, "d_model"]  # coefficient * vector

    @cached_property
    def graph(self) -> Graph:
        """Its graph."""
        card = self.model.card
        return Graph(card.n_layers, self.layer, card.n_heads, card.n_kv_heads)

    @cached_property
    def blocks(self) -> tuple[BlockWeights, ...]:
        """Weights of the blocks from the steering layer on."""
        return read_blocks(self.model, layer=self.layer)

    @cached_property
    def head(self) -> HeadWeights:
        """Its final norm and unembedding."""
        return read_head(self.model)


def forced_runs(
    steered: SteeredModel, prompts: Sequence[TokenIds], responses: Sequence[TokenIds], *, batch_size: int
) -> Iterator[ForcedRuns]:
    """Base and steered run of each batch of given responses, longest first."""
    model = steered.model
    batches = response_batches(model, prompts, responses, batch_size=batch_size, max_logits=2**28)
    for rows, batch in batches:
        _, is_response = response_targets(batch, [len(responses[i]) for i in rows])
        tail = record_tail(model, batch, layer=steered.layer, batch_size=batch_size)
        shift = (steered.shift.to(tail.resid_pre.device) * batch.mask[..., None]).to(tail.resid_pre.dtype)
        positions = predicting(batch.ids.shape[1], is_response.shape[1])
        with torch.no_grad():
            attention = whole_rows(tail, copies=1)
            base = trace(steered.blocks, tail.resid_pre, attention, positions=positions)
            steer = trace(steered.blocks, tail.resid_pre + shift, attention, positions=positions)
        yield ForcedRuns(rows, tail, base, steer, shift, is_response, positions)


def measure_circuits(
    steered: SteeredModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    circuits: Bool[np.ndarray, "circuit src dst"],
    *,
    batch_size: int,
    max_elements: int,
) -> pd.DataFrame:
    """The metric of every circuit on every given response.

    Args:
        max_elements: of the sources' changes in one pass; fewer circuits share a pass where they need more.

    Returns:
        row (of the responses), circuit (its index), value, base, steer: sums of logit differences over the
        n_positions response positions at which base and steered run predict different tokens.
    """
    order = np.argsort(
        circuits.sum((1, 2)), kind="stable"
    )  # small ones together: what none reads is not computed
    masks = torch.from_numpy(circuits[order])
    parts = []
    for runs in forced_runs(steered, prompts, responses, batch_size=batch_size):
        metric = runs.metric(steered.head)
        with torch.no_grad():
            base, steer = (metric(steered.head, run.final).sum(-1) for run in (runs.base, runs.steer))
            values = torch.cat(
                [
                    metric(steered.head, final).sum(-1)
                    for final in _final_residuals(steered, runs, masks.to(base.device), max_elements)
                ]
            )
        for circuit, found in zip(order.tolist(), values.tolist(), strict=True):
            parts.append(
                pd.DataFrame(
                    {
                        "row": runs.rows,
                        "circuit": circuit,
                        "value": found,
                        "base": base.tolist(),
                        "steer": steer.tolist(),
                        "n_positions": metric.mask.sum(-1).tolist(),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def measure_edges(
    steered: SteeredModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    edges: Int[np.ndarray, "edge 2"],
    *,
    batch_size: int,
    max_elements: int,
) -> pd.DataFrame:
    """The exact indirect effect of single edges (source, destination): one edge alone goes from base to steer.

    Returns:
        row, edge (its index), effect (sum of the metric's change over n_positions positions).
    """
    graph = steered.graph
    current = torch.from_numpy(graph.edge_mask).clone()
    current[0] = False  # what leaves resid_steer stays at base; every other change propagates
    single = torch.zeros(len(edges), graph.n_src, graph.n_dst, dtype=torch.bool)
    src, dst = torch.from_numpy(edges.T)
    single[torch.arange(len(edges)), src, dst] = True
    parts = []
    for runs in forced_runs(steered, prompts, responses, batch_size=batch_size):
        metric = runs.metric(steered.head)
        with torch.no_grad():
            deltas = source_deltas(steered.blocks, runs.base, runs.steer, shift=runs.shift)
            dense = dense_deltas(steered.blocks, deltas, slice(None))
            device = dense.device
            at_once = _per_pass(graph.n_src, runs.shift, max_elements)
            effects = []
            for some in single.to(device).split(at_once):
                final = run_patched(
                    graph,
                    steered.blocks,
                    runs.base,
                    whole_rows(runs.tail, copies=len(some)),
                    shift=runs.shift,
                    current=current.to(device).expand(len(some), -1, -1),
                    steered=SteeredEdges(some, dense),
                    positions=runs.positions,
                )
                change = metric(steered.head, final) - metric(steered.head, runs.base.final)
                effects.append(change.sum(-1))
        for edge, found in enumerate(torch.cat(effects).tolist()):
            counts = metric.mask.sum(-1).tolist()
            parts.append(
                pd.DataFrame({"row": runs.rows, "edge": edge, "effect": found, "n_positions": counts})
            )
    return pd.concat(parts, ignore_index=True)


def _final_residuals(
    steered: SteeredModel, runs: ForcedRuns, masks: Bool[Tensor, "circuit src dst"], max_elements: int
) -> Iterator[Float[Tensor, "some batch last d_model"]]:
    start = 0
    while start < len(masks):
        end = start + 1
        n_live = int(masks[start].any(1).sum())
        while end < len(masks):  # as many of the next as fit; each reads more sources than the one before
            n_live = int(masks[start : end + 1].any(0).any(1).sum())
            if end - start + 1 > _per_pass(n_live, runs.shift, max_elements):
                break
            end += 1
        some = masks[start:end]
        yield run_patched(
            steered.graph,
            steered.blocks,
            runs.base,
            whole_rows(runs.tail, copies=len(some)),
            shift=runs.shift,
            current=some,
            positions=runs.positions,
        )
        start = end


def _per_pass(n_live: int, shift: Float[Tensor, "batch pos d_model"], max_elements: int) -> int:
    """Circuits whose sources' changes fit."""
    return max(1, max_elements // (max(1, n_live) * shift.numel()))
