"""Greedy text of a model in which only some edges carry steering: base and patched streams side by side (docs/circuits.md).

At every step the base stream reads the patched stream's own tokens, and its activations there are what the other edges
are held at. Each stream has its own keys and values; nothing is run twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool, Float, Int
from torch import Tensor

from steering_study.circuits.graph import Graph
from steering_study.circuits.patching import run_patched
from steering_study.circuits.traces import trace
from steering_study.models.batches import Batch, TokenIds
from steering_study.models.caches import CachedAttention, SharedBlocks
from steering_study.models.decoding import Response, decode, decode_batches
from steering_study.models.loading import ChatModel
from steering_study.models.weights import read_blocks, read_head

_LAST = slice(-1, None)


class _PatchedDecoder:
    """A model whose edges outside a circuit are held at base."""

    def __init__(
        self,
        model: ChatModel,
        *,
        layer: int,
        circuit: Bool[Tensor, "src dst"],
        shift: Float[Tensor, "d_model"],
    ) -> None:
        self._shift = shift
        self._graph = Graph.of(vars(model.card), layer=layer)
        self._circuit = circuit[None]
        self._weights, self._head = read_blocks(model, layer=layer), read_head(model)
        self._below = SharedBlocks(model, layer=layer)
        self._base, self._patched = CachedAttention(), CachedAttention()

    def next_logits(
        self,
        ids: Int[Tensor, "batch new"],
        mask: Int[Tensor, "batch pos"],
        positions: Int[Tensor, "batch new"],
    ) -> Float[Tensor, "batch d_vocab"]:
        resid, rope = self._below.run(ids, mask, positions)
        for attention in (self._base, self._patched):
            attention.begin(rope, mask)
        is_real = mask[:, -ids.shape[1] :, None]
        final = run_patched(
            self._graph,
            self._weights,
            trace(self._weights, resid, self._base, positions=_LAST),
            self._patched,
            shift=(self._shift * is_real).to(resid.dtype),
            current=self._circuit,
            positions=_LAST,
        )
        return self._head.logits(final[0, :, 0])

    def select(self, rows: Int[Tensor, "row"]) -> None:
        self._below.select(rows)
        self._base.select(rows)
        self._patched.select(rows)


def generate_patched(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    *,
    layer: int,
    shift: Float[Tensor, "d_model"],
    circuit: Bool[Tensor, "src dst"],
    max_new_tokens: int,
    batch_size: int | None,
    label: str,
) -> list[Response]:
    """Greedy continuations, one a prompt, when only the edges of a circuit carry steering.

    Args:
        layer: the steering layer.
        shift: coefficient * vector.
    """

    def respond(rows: list[int], batch: Batch, limits: list[int]) -> list[Response]:
        decoder = _PatchedDecoder(model, layer=layer, circuit=circuit, shift=shift.to(model.device))
        return decode(decoder, batch, end_ids=model.card.end_of_turn_ids, limits=limits)

    sizes = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}
    return decode_batches(model, prompts, respond, label=label, streams=2, **sizes)
