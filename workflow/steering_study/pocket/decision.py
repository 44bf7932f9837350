"""The decision to refuse as the residual stream holds it: closing residuals, their gap, the block in the middle."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from steering_study.pocket.rows import Batch


def middle_block(n_layers: int) -> int:
    """The block before which requests are swapped, decisions exchanged, and their distance bounded."""
    return n_layers // 2


def closing_residuals(
    stream: Float[Tensor, "batch pos d_model"], batch: Batch
) -> Float[Tensor, "batch inner d_model"]:
    """The residuals at the closing tokens but the last."""
    rows = torch.arange(len(stream), device=stream.device)[:, None]
    return stream[rows, batch.closing[:, :-1]].float()


def demanded_refusals(batch: Batch) -> Bool[Tensor, "batch"]:
    """Which rows' own prompts demand a refusal: those of an exchanged row are answered as its partner's demands."""
    rows = torch.arange(len(batch.refused), device=batch.refused.device)
    return torch.where(batch.exchanged, batch.refused[rows ^ 1], batch.refused)


def decision_gap(
    stream: Float[Tensor, "batch pos d_model"], batch: Batch, refused: Bool[Tensor, "batch"]
) -> Float[Tensor, "inner d_model"]:
    """mean_refused r_p - mean_answered r_p at the closing tokens p but the last; zero if a batch has one kind only."""
    closing = closing_residuals(stream, batch)
    if refused.all() or not refused.any():
        return torch.zeros_like(closing[0])
    return closing[refused].mean(0) - closing[~refused].mean(0)
