"""One transformer block as the equations of docs/circuits.md and docs/attention.md use it: plain functions of its weights and activations.

    q_h = norm(x) W_Q^h      k_g = norm(x) W_K^g      v_g = norm(x) W_V^g              x: resid_pre
    z_h = softmax(cap(rope(q_h) rope(k_g)^T * scale) + mask) v_g                       g: the KV head of h
    attn_out = post(sum_h z_h W_O^h)
    mlp_out  = post(neurons(norm(resid_mid)) W_out)

Every head may be given an input of its own, which the modules of a model do not offer. `post` is Gemma's second norm,
elsewhere the identity. Norms divide by the root mean square of a row, in float32 or finer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Rope = tuple[Tensor, Tensor]  # cosines and sines, each [batch pos d_rotary], of a head's first numbers


@dataclass(frozen=True)
class BlockWeights:
    """Weights of a block; norm weights are the factors that they stand for (Gemma's 1 + w)."""

    W_Q: Float[Tensor, "head d_model d_head"]
    W_K: Float[Tensor, "kv_head d_model d_head"]
    W_V: Float[Tensor, "kv_head d_model d_head"]
    W_O: Float[Tensor, "head d_head d_model"]
    b_Q: Float[Tensor, "head d_head"] | None
    b_K: Float[Tensor, "kv_head d_head"] | None
    b_V: Float[Tensor, "kv_head d_head"] | None
    ln1: Float[Tensor, "d_model"]
    ln2: Float[Tensor, "d_model"]
    ln1_post: Float[Tensor, "d_model"] | None
    ln2_post: Float[Tensor, "d_model"] | None
    q_norm: Float[Tensor, "d_head"] | None
    k_norm: Float[Tensor, "d_head"] | None
    neurons: Callable[[Tensor], Tensor]  # of the MLP, [... d_model] -> [... d_mlp]
    W_out: Float[Tensor, "d_mlp d_model"]
    eps: float
    scale: float  # of the attention scores
    cap: float | None  # soft-cap of the attention scores
    window: int | None  # keys that a query sees, its own among them; None: all before it

    @property
    def n_heads(self) -> int:
        """Query heads."""
        return self.W_Q.shape[0]

    @property
    def n_kv_heads(self) -> int:
        """Key-value heads."""
        return self.W_K.shape[0]


@dataclass(frozen=True)
class HeadWeights:
    """The final norm and the unembedding."""

    ln_final: Float[Tensor, "d_model"]
    W_U: Float[Tensor, "d_vocab d_model"]
    eps: float
    cap: float | None

    def logits(self, resid: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_vocab"]:
        """Logits of every token: a product in the model's dtype, as its own, then float32 or finer."""
        return self._capped(normed(resid, self.ln_final, eps=self.eps) @ self.W_U.T)

    def logits_of(
        self, resid: Float[Tensor, "*rows batch pos d_model"], ids: Int[Tensor, "batch pos n"]
    ) -> Float[Tensor, "*rows batch pos n"]:
        """Logits of a few tokens a position, in float32 or finer: their rows of the unembedding alone are used."""
        hidden = normed(resid, self.ln_final, eps=self.eps)
        wide = widened(hidden.dtype)
        return self._capped((self.W_U[ids].to(wide) @ hidden.to(wide)[..., None])[..., 0])

    def _capped(self, logits: Tensor) -> Tensor:
        logits = logits.to(widened(logits.dtype))
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


def widened(dtype: torch.dtype) -> torch.dtype:
    """The dtype of sums: float32, or float64 for float64."""
    return torch.promote_types(dtype, torch.float32)


def rms(x: Float[Tensor, "*rows d"], *, eps: float) -> Float[Tensor, "*rows 1"]:
    """Root of the mean square and eps, in float32 or finer."""
    return x.to(widened(x.dtype)).pow(2).mean(-1, keepdim=True).add(eps).sqrt()


def normed(
    x: Float[Tensor, "*rows d"], gamma: Float[Tensor, "d"] | None, *, eps: float
) -> Float[Tensor, "*rows d"]:
    """RMSNorm, x gamma / rms(x); without a weight x itself."""
    if gamma is None:
        return x
    wide = x.to(widened(x.dtype))
    return torch.nn.functional.rms_norm(wide, wide.shape[-1:], gamma.to(wide.dtype), eps).to(x.dtype)


def project(
    x: Float[Tensor, "*rows d_model"],
    W: Float[Tensor, "head d_model d_head"],
    b: Float[Tensor, "head d_head"] | None,
) -> Float[Tensor, "*rows head d_head"]:
    """Project one normed input, which all heads share, to each of them."""
    found = torch.einsum("...d,hde->...he", x, W)
    return found if b is None else found + b


def queries_keys_values(
    weights: BlockWeights, hidden: Float[Tensor, "*rows d_model"]
) -> tuple[
    Float[Tensor, "*rows head d_head"],
    Float[Tensor, "*rows kv_head d_head"],
    Float[Tensor, "*rows kv_head d_head"],
]:
    """Queries, keys and values of one normed input, before norm and rotation."""
    return (
        project(hidden, weights.W_Q, weights.b_Q),
        project(hidden, weights.W_K, weights.b_K),
        project(hidden, weights.W_V, weights.b_V),
    )


def attend(
    weights: BlockWeights,
    q: Float[Tensor, "batch pos head d_head"],
    k: Float[Tensor, "batch pos kv_head d_head"],
    v: Float[Tensor, "batch pos kv_head d_head"],
    *,
    rope: Rope,
    mask: Float[Tensor, "batch 1 pos pos"],
) -> Float[Tensor, "batch pos head d_head"]:
    """The z of every head, of queries and keys before their norm and rotation."""
    return mix(
        weights,
        rotate(q, weights.q_norm, rope, weights.eps),
        rotate(k, weights.k_norm, rope, weights.eps),
        v,
        mask=mask,
    )


def rotate(
    x: Float[Tensor, "batch pos head d_head"], gamma: Float[Tensor, "d_head"] | None, rope: Rope, eps: float
) -> Float[Tensor, "batch pos head d_head"]:
    """Queries or keys after their norm, where the family has one, and the rotary embedding."""
    x = normed(x, gamma, eps=eps)
    cos, sin = (part[:, :, None].to(x.dtype) for part in rope)
    turned, rest = x.split([cos.shape[-1], x.shape[-1] - cos.shape[-1]], dim=-1)
    first, second = turned.chunk(2, dim=-1)
    turned = turned * cos + torch.cat([-second, first], dim=-1) * sin
    return torch.cat([turned, rest], dim=-1) if rest.shape[-1] else turned


def mix(
    weights: BlockWeights,
    q: Float[Tensor, "batch query head d_head"],
    k: Float[Tensor, "batch key kv_head d_head"],
    v: Float[Tensor, "batch key kv_head d_head"],
    *,
    mask: Float[Tensor, "batch 1 query key"],
) -> Float[Tensor, "batch query head d_head"]:
    """Softmax-weighted values of rotated queries and keys.

    Args:
        mask: 0 where a query sees a key, very negative elsewhere; a row of padding sees nothing and gets finite junk.
    """
    if weights.cap is None:
        z = torch.nn.functional.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=_bias(mask, q.dtype),
            scale=weights.scale,
            enable_gqa=weights.n_heads > weights.n_kv_heads,
        )
        return z.transpose(1, 2)
    weights_of_keys = pattern(weights, q, k, mask=mask).to(v.dtype)
    of_groups = weights_of_keys.unflatten(1, (weights.n_kv_heads, -1)).flatten(2, 3)
    z = (of_groups @ v.transpose(1, 2)).unflatten(2, (-1, q.shape[1]))
    return z.permute(0, 3, 1, 2, 4).flatten(2, 3)


def pattern(
    weights: BlockWeights,
    q: Float[Tensor, "batch query head d_head"],
    k: Float[Tensor, "batch key kv_head d_head"],
    *,
    mask: Float[Tensor, "batch 1 query key"],
) -> Float[Tensor, "batch head query key"]:
    """Attention weights of rotated queries and keys, in float32 or finer; `mask` as in `mix`.

    The queries of all heads that share keys are one matrix, so that no key is repeated.
    """
    of_groups = q.unflatten(2, (weights.n_kv_heads, -1)).permute(0, 2, 3, 1, 4).flatten(2, 3)
    scores = of_groups @ k.permute(0, 2, 3, 1) * weights.scale
    scores = scores.unflatten(2, (-1, q.shape[1])).flatten(1, 2)
    if weights.cap is not None:
        scores = weights.cap * torch.tanh(scores / weights.cap)
    return (scores + _bias(mask, scores.dtype)).softmax(-1, dtype=widened(scores.dtype))


def per_head(
    weights: BlockWeights, x: Float[Tensor, "*rows kv_head d_head"]
) -> Float[Tensor, "*rows head d_head"]:
    """Keys or values of each query head."""
    return x.repeat_interleave(weights.n_heads // weights.n_kv_heads, dim=-2)


def _bias(mask: Float[Tensor, "batch 1 query key"], dtype: torch.dtype) -> Tensor:
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask < 0, torch.finfo(dtype).min / 4)


def causal_mask(
    seen: Int[Tensor, "batch key"], *, n_queries: int, window: int | None
) -> Float[Tensor, "batch 1 query key"]:
    """0 where one of the last `n_queries` positions sees a key, -1 elsewhere, as `mix` reads it.

    Args:
        seen: 1 for every real token so far, 0 for padding, wherever it stands.
        window: tokens that a query sees, its own among them; padding is none.
    """
    n_keys = seen.shape[1]
    key = torch.arange(n_keys, device=seen.device)
    visible = (key <= key[n_keys - n_queries :, None]) & seen[:, None].bool()
    if window is not None and window < n_keys:
        place = seen.cumsum(-1)  # of each token in its own row
        visible = visible & (place[:, None] > place[:, n_keys - n_queries :, None] - window)
    return visible.to(torch.float32)[:, None] - 1


def attn_out(weights: BlockWeights, z: Float[Tensor, "*rows head d_head"]) -> Float[Tensor, "*rows d_model"]:
    """What attention adds to the residual stream."""
    return normed(torch.einsum("...he,hed->...d", z, weights.W_O), weights.ln1_post, eps=weights.eps)


def mlp_out(
    weights: BlockWeights, resid_mid: Float[Tensor, "*rows d_model"]
) -> Float[Tensor, "*rows d_model"]:
    """What the MLP adds to the residual stream."""
    return mlp_of(weights, normed(resid_mid, weights.ln2, eps=weights.eps))


def mlp_of(weights: BlockWeights, hidden: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
    """What the MLP adds to the residual stream, from its normed input."""
    return normed(weights.neurons(hidden) @ weights.W_out, weights.ln2_post, eps=weights.eps)


def direct_term(
    shift: Float[Tensor, "*rows d_model"],
    resid: Float[Tensor, "*rows d_model"],
    gamma: Float[Tensor, "d_model"],
    *,
    eps: float,
) -> Float[Tensor, "*rows d_model"]:
    """What a vector that was added to a residual contributes to its norm: shift * gamma / rms(resid) (docs/attention.md)."""
    wide = widened(resid.dtype)
    return (shift.to(wide) * gamma.to(wide) / rms(resid, eps=eps)).to(resid.dtype)


def scaled_z(
    weights: BlockWeights, z: Float[Tensor, "*rows head d_head"]
) -> Float[Tensor, "*rows head d_head"]:
    """The z over the post-norm's own root mean square, so that what a head adds is linear in it.

    attn_out = sum_h scaled_z_h W_O^h ln1_post       (docs/circuits.md: each run with its own rms)
    """
    if weights.ln1_post is None:
        return z
    return z / rms(torch.einsum("...he,hed->...d", z, weights.W_O), eps=weights.eps)[..., None].to(z.dtype)


def head_outputs(
    weights: BlockWeights, z: Float[Tensor, "*rows head d_head"], *, heads: Int[Tensor, "some"] | None = None
) -> Float[Tensor, "some *rows d_model"]:
    """What each head, or each of some, adds to the stream, of a `scaled_z` or of a difference of two."""
    W_O = weights.W_O if heads is None else weights.W_O[heads]
    z = z if heads is None else z[..., heads, :]
    if weights.ln1_post is not None:
        W_O = W_O * weights.ln1_post.to(W_O.dtype)
    return torch.einsum("...he,hed->h...d", z, W_O)
