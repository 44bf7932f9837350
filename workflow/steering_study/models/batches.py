"""Token ids in padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

TokenIds = tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """Left-padded rows, so that position -1 is the last token of each; the mask is 1 on real tokens."""

    ids: Int[Tensor, "batch pos"]
    mask: Int[Tensor, "batch pos"]

    @property
    def position_ids(self) -> Int[Tensor, "batch pos"]:
        """Position of each token in its own row; 0 on padding."""
        return (self.mask.cumsum(-1) - 1).clamp(min=0)


def shared_prefix(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with, at least one of each left over."""
    shortest = min(map(len, rows)) - 1
    for n in range(shortest):
        if len({row[n] for row in rows}) > 1:
            return n
    return max(0, shortest)


def left_pad(rows: Sequence[Sequence[int]], *, pad: int, device: torch.device | str) -> Batch:
    """Pad rows on the left to one length."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, width - len(row) :] = torch.tensor(row)
        mask[i, width - len(row) :] = 1
    return Batch(ids.to(device), mask.to(device))


def right_pad(
    rows: Sequence[TokenIds], *, pad: int, device: torch.device | str
) -> tuple[Int[Tensor, "batch pos"], Int[Tensor, "batch pos"]]:
    """Rows padded on the right to one length, and which of their tokens are their own."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(longest)[None] < lengths[:, None]).long()
    return ids.to(device), mask.to(device)


def batches_by_length(rows: Sequence[Sequence[int]], *, batch_size: int) -> Iterator[list[int]]:
    """Indices of the rows, longest first, in batches: little padding, and the largest batch comes first.

    Equal rows follow each other, so that a batch can share what they share.
    """
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), tuple(rows[i]), i))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
