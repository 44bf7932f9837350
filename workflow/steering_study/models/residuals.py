"""Residuals of prompts, block after block; at any block they can be changed and run to the end, without what lies below it again."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from steering_study.models.batches import Batch
from steering_study.models.caches import CachedAttention
from steering_study.models.loading import ChatModel
from steering_study.models.weights import read_blocks, read_head


class Residuals:
    """A batch of prompts at `layer`, the block that `resid` enters."""

    def __init__(self, model: ChatModel, batch: Batch) -> None:
        self._blocks, self._head = read_blocks(model, layer=0), read_head(model)
        self._mask = batch.mask
        self.layer = 0
        with torch.no_grad():
            self.resid: Float[Tensor, "batch pos d_model"] = model.bridge.embed(batch.ids)
            cos, sin = model.bridge.original_model.model.rotary_emb(self.resid, batch.position_ids)  # pyright: ignore
        self._rope = tuple(part.expand(len(batch.ids), -1, -1) for part in (cos, sin))

    @property
    def is_real(self) -> Int[Tensor, "batch pos"]:
        """1 on tokens, 0 on padding."""
        return self._mask

    def advance(self) -> None:
        """Run the block, so that `resid` enters the next one."""
        with torch.no_grad():
            self.resid = self._run(self.resid, copies=1, blocks=slice(self.layer, self.layer + 1))
        self.layer += 1

    def last_logits(
        self, resid: Float[Tensor, "copy batch pos d_model"]
    ) -> Float[Tensor, "copy batch d_vocab"]:
        """Logits at the last position of changed residuals that enter the block, in float32 or finer; copies run side by side."""
        with torch.no_grad():
            out = self._run(resid.flatten(0, 1), copies=len(resid), blocks=slice(self.layer, None))
            return self._head.logits(out[:, -1]).unflatten(0, resid.shape[:2])

    def _run(self, resid: Tensor, *, copies: int, blocks: slice) -> Tensor:
        attention = CachedAttention()
        cos, sin = (part.repeat(copies, 1, 1) for part in self._rope)
        attention.begin((cos, sin), self._mask.repeat(copies, 1))
        for i, block in enumerate(self._blocks[blocks]):
            resid = attention.run_block(i, block, resid)
        return resid
