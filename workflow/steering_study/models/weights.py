"""Read a loaded model's weights as the plain tensors that `blocks` computes with; nothing is copied but norm factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from steering_study.models.blocks import BlockWeights, HeadWeights
from steering_study.models.loading import ChatModel

SLIDING = ("mistral", "phi3")  # families whose window, if they have one, is that of every block


def read_blocks(model: ChatModel, *, layer: int) -> tuple[BlockWeights, ...]:
    """Weights of the blocks from `layer` on."""
    return tuple(
        _read_block(model, block, window=_window(model.hf_config, i))
        for i, block in enumerate(model.bridge.blocks)
        if i >= layer
    )


def read_head(model: ChatModel) -> HeadWeights:
    """The final norm and the unembedding."""
    lm_head: Any = model.bridge.original_model.lm_head
    return HeadWeights(
        ln_final=_factor(model.bridge.ln_final),
        W_U=lm_head.weight,
        eps=model.hf_config.rms_norm_eps,
        cap=getattr(model.hf_config, "final_logit_softcapping", None),
    )


def _window(config: Any, layer: int) -> int | None:
    """Sliding window of a block's attention, where it has one."""
    if config.model_type in SLIDING:
        return config.sliding_window
    kinds = getattr(config, "layer_types", None)
    return config.sliding_window if kinds and kinds[layer] == "sliding_attention" else None


def _read_block(model: ChatModel, block: Any, *, window: int | None) -> BlockWeights:
    attn, mlp = block.attn, block.mlp.original_component
    return BlockWeights(
        W_Q=attn.W_Q,
        W_K=attn.W_K,
        W_V=attn.W_V,
        W_O=attn.W_O,
        b_Q=attn.b_Q,
        b_K=attn.b_K,
        b_V=attn.b_V,
        ln1=_factor(block.ln1),
        ln2=_factor(block.ln2),
        ln1_post=_factor(block.ln1_post) if hasattr(block, "ln1_post") else None,
        ln2_post=_factor(block.ln2_post) if hasattr(block, "ln2_post") else None,
        q_norm=attn.q_norm.weight if hasattr(attn, "q_norm") else None,
        k_norm=attn.k_norm.weight if hasattr(attn, "k_norm") else None,
        neurons=_neurons(mlp),
        W_out=mlp.down_proj.weight.T,
        eps=model.hf_config.rms_norm_eps,
        scale=attn.original_component.scaling,
        cap=getattr(model.hf_config, "attn_logit_softcapping", None),
        window=window,
    )


def _neurons(mlp: Any) -> Callable[[Tensor], Tensor]:
    """act(gate) * up, of two projections or of one that holds both (Phi-3)."""
    if not hasattr(mlp, "gate_up_proj"):
        gate_proj, up_proj = _plain(mlp.gate_proj), _plain(mlp.up_proj)
        return lambda hidden: mlp.act_fn(gate_proj(hidden)) * up_proj(hidden)
    gate_up_proj = _plain(mlp.gate_up_proj)

    def fused(hidden: Tensor) -> Tensor:
        gate, up = gate_up_proj(hidden).chunk(2, dim=-1)
        return mlp.activation_fn(gate) * up

    return fused


def _plain(module: Any) -> Any:
    """The library's own module, without the bridge's hook points around it."""
    return getattr(module, "original_component", module)


def _factor(norm: Any) -> Tensor:
    """What a norm multiplies by: 1 + w in Gemma, kept in float32 as its own code does."""
    weight: Tensor = norm.weight
    return (
        1 + weight.to(torch.promote_types(weight.dtype, torch.float32)) if norm.uses_weight_offset else weight
    )
