"""Residuals of prompts, block after block; at any block they can be shifted and run to the end, without what lies below it again.

What all prompts of a batch begin with, such as the system block of a chat template, is one row: it is run once, and the
other tokens of every prompt see its keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.models.batches import TokenIds, right_pad, shared_prefix
from steering_study.models.blocks import Rope
from steering_study.models.caches import CachedAttention
from steering_study.models.loading import ChatModel
from steering_study.models.weights import read_blocks, read_head


class Residuals:
    """A batch of prompts before the block `layer`."""

    def __init__(self, model: ChatModel, prompts: Sequence[TokenIds]) -> None:
        self._blocks, self._head = read_blocks(model, layer=0), read_head(model)
        self.layer = 0
        n_shared = shared_prefix(prompts)
        first = torch.tensor([prompts[0][:n_shared]], dtype=torch.long, device=model.device)
        # padded on the right, where no token looks: a window reaches back over tokens alone
        ids, self._mask = right_pad(
            [prompt[n_shared:] for prompt in prompts], pad=model.pad_id, device=model.device
        )
        self._last = self._mask.sum(-1) - 1
        seen = torch.cat([first.new_ones(len(prompts), n_shared), self._mask], dim=1)
        self._parts = [
            _Part(model, first, seen=torch.ones_like(first), start=0),
            _Part(model, ids, seen=seen, start=n_shared),
        ]
        self._resid = [part.embedded for part in self._parts]

    def advance(self) -> None:
        """Run the block, so that the next one is before them."""
        with torch.no_grad():
            self._resid = self._run(self._resid, copies=1, blocks=slice(self.layer, self.layer + 1))
        self.layer += 1

    def last_logits(self, shifts: Float[Tensor, "copy d_model"]) -> Float[Tensor, "copy batch d_vocab"]:
        """Logits at the last position of each prompt, in float32 or finer, with each shift added before the block at every token."""
        copies = len(shifts)
        with torch.no_grad():
            shifted = []
            for part, is_real in zip(self._resid, (None, self._mask), strict=True):
                added = shifts[:, None, None]
                added = added if is_real is None else added * is_real[None, ..., None]
                shifted.append((part + added.to(part.dtype)).flatten(0, 1))
            *_, rest = self._run(shifted, copies=copies, blocks=slice(self.layer, None))
            last = self._last.repeat(copies)
            ends = rest[torch.arange(len(rest), device=rest.device), last]
            return self._head.logits(ends).unflatten(0, (copies, -1))

    def _run(self, resid: list[Tensor], *, copies: int, blocks: slice) -> list[Tensor]:
        attention, out = CachedAttention(), []
        n_rows = len(self._mask)
        for part, rows in zip(self._parts, resid, strict=True):
            if out:  # the first part's keys and values, for every prompt
                attention.select(torch.arange(copies, device=rows.device).repeat_interleave(n_rows))
            attention.begin(*part.context(copies))
            for i, block in enumerate(self._blocks[blocks]):
                rows = attention.run_block(i, block, rows) if rows.shape[1] else rows
            out.append(rows)
        return out


class _Part:
    """Some positions of a batch: their embeddings, rotary embedding, and which tokens up to them are real."""

    def __init__(self, model: ChatModel, ids: Tensor, *, seen: Tensor, start: int) -> None:
        positions = torch.arange(start, start + ids.shape[1], device=ids.device).expand(ids.shape)
        with torch.no_grad():
            self.embedded: Tensor = model.bridge.embed(ids)
            rope = model.bridge.original_model.model.rotary_emb(self.embedded, positions)  # pyright: ignore
        self._rope = tuple(part.expand(len(ids), *part.shape[1:]) for part in rope)
        self._seen = seen

    def context(self, copies: int) -> tuple[Rope, Tensor]:
        cos, sin = (part.repeat(copies, 1, 1) for part in self._rope)
        return (cos, sin), self._seen.repeat(copies, 1)
