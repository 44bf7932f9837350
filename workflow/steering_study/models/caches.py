"""Blocks that rows share while they read alike, and attention with a memory.

Below the steering layer all streams see the same tokens, so these blocks run once, and once for all rows whose tokens so
far are the same: what a prompt answers under thirty vectors begins alike for a while. From the layer on each stream has
rows of its own in one batch.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Int
from torch import Tensor

from steering_study.models.blocks import (
    BlockWeights,
    Rope,
    attn_out,
    causal_mask,
    mix,
    mlp_out,
    normed,
    queries_keys_values,
    rotate,
)
from steering_study.models.loading import ChatModel
from steering_study.models.weights import read_blocks


class SharedBlocks:
    """The blocks below a layer, with the keys and values of every distinct row."""

    def __init__(self, model: ChatModel, *, layer: int) -> None:
        self._bridge = model.bridge
        self._weights = read_blocks(model, layer=0)[:layer]
        self._attention = CachedAttention()
        self._group: Int[Tensor, "batch"] | None = None  # of each row; rows of a group share keys and values

    def run(
        self,
        ids: Int[Tensor, "batch new"],
        mask: Int[Tensor, "batch pos"],
        positions: Int[Tensor, "batch new"],
    ) -> tuple[Float[Tensor, "batch new d_model"], Rope]:
        """Residuals that enter the layer at the new tokens, and their rotary embedding."""
        before = torch.zeros_like(ids[:, 0]) if self._group is None else self._group
        read = torch.cat([before[:, None], ids, mask[:, -ids.shape[1] :]], dim=1)
        self._group, first = first_of_each(read)
        self._attention.select(before[first])
        resid = self._bridge.embed(ids[first])
        rope = self._bridge.original_model.model.rotary_emb(resid, positions)  # pyright: ignore
        self._attention.begin((rope[0][first], rope[1][first]), mask[first])
        for i, block in enumerate(self._weights):
            resid = self._attention.run_block(i, block, resid)
        return resid[self._group], rope

    def select(self, rows: Int[Tensor, "row"]) -> None:
        """Forget all rows but these."""
        if self._group is not None:
            self._group = self._group[rows]

    def branch(self, rows: Int[Tensor, "row"]) -> SharedBlocks:
        """Some rows, each perhaps many times, to go on with while these blocks stay where they are."""
        branch = copy.copy(self)
        branch._attention = self._attention.branch()
        branch.select(rows)
        return branch


def first_of_each(rows: Int[Tensor, "row column"]) -> tuple[Int[Tensor, "row"], Int[Tensor, "group"]]:
    """Groups of equal rows: the group of each row, and the first row of each group."""
    groups, group = torch.unique(rows, dim=0, return_inverse=True)
    number = torch.arange(len(rows), device=rows.device)
    beyond = number.new_full((len(groups),), len(rows))
    return group, beyond.scatter_reduce(0, group, number, reduce="amin")


class CachedAttention:
    """Attention that remembers rotated keys and values of each block; call `begin` before each step."""

    def __init__(self) -> None:
        self._cache: dict[int, _KeysAndValues] = {}

    def begin(self, rope: Rope, seen: Int[Tensor, "batch pos"]) -> None:
        """Set the rotary embedding of the new positions, and which tokens so far are real."""
        self._rope, self._seen = rope, seen
        self._masks: dict[int | None, Tensor] = {}

    def __call__(self, i: int, block: BlockWeights, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The z at the new positions of block i, counted from the first that runs here."""
        k = rotate(k, block.k_norm, self._rope, block.eps)
        keys, values = self._cache.setdefault(i, _KeysAndValues()).add(k, v)
        if block.window not in self._masks:
            self._masks[block.window] = causal_mask(self._seen, n_queries=q.shape[1], window=block.window)
        q = rotate(q, block.q_norm, self._rope, block.eps)
        return mix(block, q, keys, values, mask=self._masks[block.window])

    def run_block(
        self, i: int, block: BlockWeights, resid: Float[Tensor, "batch new d_model"]
    ) -> Float[Tensor, "batch new d_model"]:
        """Residuals that leave block i."""
        q, k, v = queries_keys_values(block, normed(resid, block.ln1, eps=block.eps))
        resid = resid + attn_out(block, self(i, block, q, k, v))
        return resid + mlp_out(block, resid)

    def select(self, rows: Int[Tensor, "row"]) -> None:
        """Forget all rows but these, in the order given."""
        first = next(iter(self._cache.values()), None)
        if first is not None and not first.holds(rows):
            for cache in self._cache.values():
                cache.select(rows)

    def branch(self) -> CachedAttention:
        """A copy that shares what is remembered so far and goes on apart."""
        branch = CachedAttention()
        branch._cache = {i: cache.branch() for i, cache in self._cache.items()}
        return branch


class _KeysAndValues:
    """Keys and values of one block, in buffers that grow by a quarter: a token costs the same however many went before.

    Laid out as [batch kv_head key d_head], in which a product with queries copies nothing.
    """

    def __init__(self) -> None:
        self._buffers: tuple[Tensor, Tensor] | None = None
        self._used = 0
        self._has_grown = False

    def add(
        self, k: Float[Tensor, "batch new kv_head d_head"], v: Float[Tensor, "batch new kv_head d_head"]
    ) -> tuple[Float[Tensor, "batch key kv_head d_head"], Float[Tensor, "batch key kv_head d_head"]]:
        """All keys and values, the new ones among them."""
        start, self._used = self._used, self._used + k.shape[1]
        if self._buffers is None or self._buffers[0].shape[2] < self._used:
            self._grow(k)
        assert self._buffers is not None
        for buffer, new in zip(self._buffers, (k, v), strict=True):
            buffer[:, :, start : self._used] = new.transpose(1, 2)
        keys, values = (buffer[:, :, : self._used].transpose(1, 2) for buffer in self._buffers)
        return keys, values

    def holds(self, rows: Int[Tensor, "row"]) -> bool:
        """Whether these are all the rows there are, in their order."""
        if self._buffers is None:
            return False
        n_rows = len(self._buffers[0])
        return len(rows) == n_rows and torch.equal(rows, torch.arange(n_rows, device=rows.device))

    def select(self, rows: Int[Tensor, "row"]) -> None:
        if self._buffers is not None:
            keys, values = self._buffers
            self._buffers = keys[rows], values[rows]

    def branch(self) -> _KeysAndValues:
        """A copy that shares these keys and values; what either adds goes into buffers of its own."""
        branch = _KeysAndValues()
        if self._buffers is not None:
            keys, values = self._buffers
            branch._buffers = keys[:, :, : self._used], values[:, :, : self._used]
            branch._used = self._used
        return branch

    def _grow(self, like: Tensor) -> None:
        n_rows, _, n_heads, d_head = like.shape
        room = self._used + self._used // 4 if self._has_grown else self._used
        old = self._buffers
        keys, values = (like.new_empty(n_rows, n_heads, room, d_head) for _ in range(2))
        if old is not None:
            kept = old[0].shape[2]
            keys[:, :, :kept], values[:, :, :kept] = old
        self._buffers, self._has_grown = (keys, values), True
