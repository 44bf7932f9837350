"""Greedy text of a model in which only some edges carry steering: base and patched streams side by side (METHOD 8).

At every step the base stream reads the patched stream's own tokens, and its activations there are what the other edges
are held at. Each stream has its own keys and values; nothing is run twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm
from transformers import DynamicCache

from steering_study.blocks import BlockWeights, Rope, causal_mask, mix, rotate
from steering_study.graph import Graph
from steering_study.models import ChatModel
from steering_study.patching import run_patched
from steering_study.prompts import TokenIds, batches_by_length, left_pad
from steering_study.runs import Response, decode
from steering_study.traces import trace
from steering_study.weights import read_blocks, read_head

_LAST = slice(-1, None)


class CachedAttention:
    """Attention that remembers rotated keys and values of each block; set `rope` and `seen` before each step."""

    def __init__(self) -> None:
        self.rope: Rope
        self.seen: Int[Tensor, "batch pos"]
        self._cache: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, i: int, block: BlockWeights, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The z at the new positions of block i, counted from the steering layer."""
        k = rotate(k, block.k_norm, self.rope, block.eps)
        if i in self._cache:
            k, v = (torch.cat([old, new], dim=1) for old, new in zip(self._cache[i], (k, v), strict=True))
        self._cache[i] = k, v
        mask = causal_mask(self.seen, n_queries=q.shape[1], window=block.window)
        return mix(block, rotate(q, block.q_norm, self.rope, block.eps), k, v, mask=mask)

    def select(self, rows: Int[Tensor, "row"]) -> None:
        """Forget all rows but these."""
        self._cache = {i: (k[rows], v[rows]) for i, (k, v) in self._cache.items()}


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
        self._model, self._layer, self._shift = model, layer, shift
        self._graph = Graph.of(vars(model.card), layer=layer)
        self._circuit = circuit[None]
        self._weights, self._head = read_blocks(model, layer=layer), read_head(model)
        self._below = DynamicCache(config=model.hf_config)
        self._base, self._patched = CachedAttention(), CachedAttention()

    def next_logits(
        self,
        ids: Int[Tensor, "batch new"],
        mask: Int[Tensor, "batch pos"],
        positions: Int[Tensor, "batch new"],
    ) -> Float[Tensor, "batch d_vocab"]:
        resid = self._model.bridge(
            ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._below,
            stop_at_layer=self._layer,
        )
        rope = self._model.bridge.original_model.model.rotary_emb(resid, positions)  # pyright: ignore
        for attention in (self._base, self._patched):
            attention.rope, attention.seen = rope, mask
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
        self._below.batch_select_indices(rows)
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
    batch_size: int,
    label: str,
) -> list[Response]:
    """Greedy continuations, one a prompt, when only the edges of a circuit carry steering.

    Args:
        layer: the steering layer.
        shift: coefficient * vector.
    """
    responses: dict[int, Response] = {}
    with torch.no_grad(), tqdm(total=len(prompts), desc=label, unit="text", disable=None, leave=False) as bar:
        for rows in batches_by_length(prompts, batch_size=batch_size):
            batch = left_pad([prompts[i] for i in rows], pad=model.pad_id, device=model.device)
            decoder = _PatchedDecoder(model, layer=layer, circuit=circuit, shift=shift.to(model.device))
            limit = min(max_new_tokens, model.card.context - batch.ids.shape[1])
            found = decode(decoder, batch, end_ids=model.card.end_of_turn_ids, max_new_tokens=limit)
            responses.update(zip(rows, found, strict=True))
            bar.update(len(rows))
    return [responses[i] for i in range(len(prompts))]
