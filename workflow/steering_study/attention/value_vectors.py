"""Steering value vectors: what a vector becomes on its way through a head's values and outputs (docs/attention.md).

With h the stream without the vector, x = h + shift the steered one, A the attention weights and r(x) its root mean square,

    sum_k A[q, k] v_k W_O  =  sum_k A[q, k] / r(x_k) (h_k * gamma) W_V W_O   +   (sum_k A[q, k] / r(x_k)) svv(shift)

(+ biases), where svv(s) = ((s * gamma) W_V) W_O depends on no input. A post-norm multiplies both terms by its weight,
which is part of svv, and by 1 / rms of the steered attention output.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steering_study.models.blocks import BlockWeights, HeadWeights, per_head, rms, widened


def head_writes(
    block: BlockWeights, z: Float[Tensor, "*rows head d_head"]
) -> Float[Tensor, "*rows head d_model"]:
    """z_h W_O^h, times the post-norm's weight: what each head writes, but for the post-norm's 1 / rms."""
    W_O = block.W_O.to(z.dtype)
    if block.ln1_post is not None:
        W_O = W_O * block.ln1_post.to(z.dtype)
    return torch.einsum("...he,hed->...hd", z, W_O)


def steering_values(block: BlockWeights, s: Float[Tensor, "d_model"]) -> Float[Tensor, "head d_head"]:
    """(s * gamma) W_V of each query head's key-value group: the vector's part of a value, times the norm's rms."""
    wide = widened(block.W_V.dtype)
    values = torch.einsum("d,kde->ke", s.to(wide) * block.ln1.to(wide), block.W_V.to(wide))
    return per_head(block, values)


def steering_value_vectors(block: BlockWeights, s: Float[Tensor, "d_model"]) -> Float[Tensor, "head d_model"]:
    """svv_h(s) = ((s * gamma) W_V^h) W_O^h, times the post-norm's weight; it depends on no input."""
    return head_writes(block, steering_values(block, s))


def direct_weights(
    block: BlockWeights,
    weights_of_keys: Float[Tensor, "row head query key"],
    resid: Float[Tensor, "row key d_model"],
) -> Float[Tensor, "row query head"]:
    """sum_k A[q, k] / rms(x_k): what an svv is multiplied by at each position, before a post-norm.

    Args:
        resid: the steered stream; where a key is not steered, its weight has to be 0 in `weights_of_keys`.
    """
    scale = 1 / rms(resid, eps=block.eps)[..., 0]
    return torch.einsum("bhqk,bk->bqh", weights_of_keys.to(scale.dtype), scale)


def post_scale(block: BlockWeights, z: Float[Tensor, "row pos head d_head"]) -> Float[Tensor, "row pos 1"]:
    """1 / rms of the attention output in front of a post-norm; 1 where there is none."""
    wide = z.to(widened(z.dtype))
    if block.ln1_post is None:
        return torch.ones_like(wide[..., 0, :1])
    return 1 / rms(torch.einsum("...he,hed->...d", wide, block.W_O.to(wide.dtype)), eps=block.eps)


@dataclass(frozen=True)
class Agreement:
    """Sums over positions of two vectors' products, from which how much of one the other explains follows."""

    part_part: Float[Tensor, "node"]
    whole_whole: Float[Tensor, "node"]
    part_whole: Float[Tensor, "node"]

    @classmethod
    def between(
        cls,
        part: Float[Tensor, "row pos node d_model"],
        whole: Float[Tensor, "row pos node d_model"],
        mask: Bool[Tensor, "row pos"],
    ) -> Agreement:
        """Sums over the rows and positions of a mask."""
        weigh = mask[..., None, None].to(part.dtype)
        pairs = ((part, part), (whole, whole), (part, whole))
        return cls(*((weigh * a * b).sum((0, 1, 3)) for a, b in pairs))

    def __add__(self, other: Agreement) -> Agreement:
        """Sums over more positions."""
        return Agreement(
            self.part_part + other.part_part,
            self.whole_whole + other.whole_whole,
            self.part_whole + other.part_whole,
        )

    @property
    def norm_share(self) -> Float[Tensor, "node"]:
        """Root mean square of the part over that of the whole."""
        return (self.part_part / self.whole_whole).sqrt()

    @property
    def cosine(self) -> Float[Tensor, "node"]:
        """Cosine of the two as vectors over all positions."""
        return self.part_whole / (self.part_part * self.whole_whole).sqrt()


def logit_lens(vectors: Float[Tensor, "some d_model"], head: HeadWeights) -> Float[Tensor, "some d_vocab"]:
    """(v * gamma_final) W_U: through the final norm's weight and the unembedding, without rms or soft-cap."""
    wide = widened(vectors.dtype)
    return (vectors.to(wide) * head.ln_final.to(wide)) @ head.W_U.to(wide).T


def top_tokens(
    logits: Float[Tensor, "some d_vocab"], *, n: int, sign: int
) -> tuple[Float[Tensor, "some n"], Int[Tensor, "some n"]]:
    """The n tokens with the largest sign * logit, best first: those logits, and their ids."""
    found = (sign * logits).topk(n, dim=-1)
    return found.values, found.indices
