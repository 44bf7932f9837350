"""A run from the steering layer on, block by block, with everything that edges of the graph start or end at.

A run is given its attention as a function, so that whole rows, cached decoding and several circuits share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.models.blocks import (
    BlockWeights,
    attend,
    attn_out,
    head_outputs,
    mlp_out,
    normed,
    queries_keys_values,
    scaled_z,
    widened,
)
from steering_study.models.tails import Tail

# z of a block, counted from the steering layer, from its queries, keys and values
Attention = Callable[[int, BlockWeights, Tensor, Tensor, Tensor], Float[Tensor, "row pos head d_head"]]


@dataclass(frozen=True)
class BlockTrace:
    """What a run computes in one block, as far as edges start or end there."""

    resid_pre: Float[Tensor, "row pos d_model"]
    q: Float[Tensor, "row pos head d_head"]
    k: Float[Tensor, "row pos kv_head d_head"]
    v: Float[Tensor, "row pos kv_head d_head"]
    z: Float[Tensor, "row pos head d_head"]
    mlp_in: Float[Tensor, "row pos d_model"]  # resid_mid as the MLP's branch reads it
    mlp_out: Float[Tensor, "row pos d_model"]


@dataclass(frozen=True)
class Trace:
    """A run from the steering layer on; `final` enters the final norm, at some positions."""

    blocks: tuple[BlockTrace, ...]
    final: Float[Tensor, "row some d_model"]


def whole_rows(tail: Tail, *, copies: int) -> Attention:
    """Attention over whole rows, each `copies` times those of a tail."""
    ropes = [
        tuple(part.repeat(copies, 1, 1) for part in each["position_embeddings"]) for each in tail.arguments
    ]
    masks = [each["attention_mask"].repeat(copies, 1, 1, 1) for each in tail.arguments]

    def z(i: int, block: BlockWeights, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(block, q, k, v, rope=ropes[i], mask=masks[i])

    return z


def trace(
    weights: Sequence[BlockWeights],
    resid: Float[Tensor, "row pos d_model"],
    attention: Attention,
    *,
    positions: slice,
) -> Trace:
    """Run blocks on residuals that enter the first of them.

    Args:
        positions: what the final norm gets.
    """
    blocks = []
    for i, block in enumerate(weights):
        x = resid
        hidden = normed(x, block.ln1, eps=block.eps)
        q, k, v = queries_keys_values(block, hidden)
        z = attention(i, block, q, k, v)
        resid_mid = x + attn_out(block, z)
        branch = resid_mid.view_as(resid_mid)  # a gradient of its own, apart from the skip path's
        out = mlp_out(block, branch)
        resid = resid_mid + out
        blocks.append(BlockTrace(x, q, k, v, z, branch, out))
    return Trace(tuple(blocks), resid[:, positions])


def predicting(n_pos: int, last: int) -> slice:
    """Of `n_pos` positions those that predict the last tokens of a row."""
    return slice(n_pos - last - 1, n_pos - 1)


@dataclass(frozen=True)
class SourceDeltas:
    """u_steer - u_base of every source, in factors: `heads` times W_O (and the post-norm's weight) are the heads'."""

    resid: Float[Tensor, "batch pos d_model"]
    heads: tuple[Float[Tensor, "batch pos head d_head"], ...]
    mlps: tuple[Float[Tensor, "batch pos d_model"], ...]


def source_deltas(
    weights: Sequence[BlockWeights], base: Trace, steer: Trace, *, shift: Float[Tensor, "batch pos d_model"]
) -> SourceDeltas:
    """Steer minus base of every source; each run's heads over their own post-norm's root mean square."""
    return SourceDeltas(
        shift,
        tuple(
            scaled_z(block, after.z) - scaled_z(block, before.z)
            for block, before, after in zip(weights, base.blocks, steer.blocks, strict=True)
        ),
        tuple(
            after.mlp_out - before.mlp_out for before, after in zip(base.blocks, steer.blocks, strict=True)
        ),
    )


def dense_deltas(
    weights: Sequence[BlockWeights],
    deltas: SourceDeltas,
    positions: slice,
    *,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "batch src pos d_model"]:
    """Steer minus base of every source at some positions, as what each adds to the residual stream.

    Args:
        dtype: of what is returned; None, that of sums (`blocks.widened`).
    """
    dtype = dtype or widened(deltas.resid.dtype)
    parts = [deltas.resid[:, None, positions].to(dtype)]
    for block, heads, mlp in zip(weights, deltas.heads, deltas.mlps, strict=True):
        parts.append(head_outputs(block, heads[:, positions]).transpose(0, 1).to(dtype))
        parts.append(mlp[:, None, positions].to(dtype))
    return torch.cat(parts, dim=1)
