"""The upper part of a model, run on recorded residuals: what lies below the steering layer runs once.

    logits = tail.run(tail.resid_pre + shift)

Blocks below the layer see the same tokens whatever is added at the layer, so their output, and the masks and
rotary embeddings that the upper blocks get, are recorded in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from steering_study.models.batches import Batch
from steering_study.models.loading import ChatModel

_NOT_REPLAYED = ("hidden_states", "past_key_values")  # the residual itself, and a cache that would grow
_PER_ROW = ("attention_mask", "position_embeddings", "position_ids")


@dataclass(frozen=True)
class Tail:
    """Blocks from `layer` on, with the residuals that enter them and each block's other arguments."""

    model: ChatModel
    layer: int
    resid_pre: Float[Tensor, "batch pos d_model"]
    arguments: tuple[Mapping[str, Any], ...]

    def select(self, rows: Int[Tensor, "row"]) -> Tail:
        """Some rows, in the order given; a row may be there twice."""
        picked = tuple(
            {
                name: _map(value, lambda t: t[rows]) if name in _PER_ROW else value
                for name, value in each.items()
            }
            for each in self.arguments
        )
        return Tail(self.model, self.layer, self.resid_pre[rows], picked)

    def run(
        self, resid: Float[Tensor, "batch pos d_model"], *, last: int
    ) -> Float[Tensor, "batch last d_vocab"]:
        """Logits of the last positions, in float32 or finer, of residuals that enter the block `layer`."""
        bridge = self.model.bridge
        for block, arguments in zip(bridge.blocks[self.layer :], self.arguments, strict=True):
            resid = block(resid, **arguments)
        logits = bridge.unembed(bridge.ln_final(resid[:, -last:]))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        cap = getattr(self.model.hf_config, "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)


def record_tail(model: ChatModel, batch: Batch, *, layer: int, batch_size: int | None = None) -> Tail:
    """Run a batch once, unsteered, and keep what the blocks from `layer` on are called with.

    Args:
        batch_size: rows of one forward pass; None: all.

    Raises:
        ValueError: if the model has no such layer.
    """
    if not 0 <= layer < model.card.n_layers:
        raise ValueError(f"layer={layer} is outside 0..{model.card.n_layers - 1} of {model.card.name}")
    size = batch_size or len(batch.ids)
    parts = [
        _record(model, Batch(ids, mask), layer)
        for ids, mask in zip(batch.ids.split(size), batch.mask.split(size), strict=True)
    ]
    residuals, arguments = zip(*parts, strict=True)
    joined = tuple(
        {
            name: _join([each[name] for each in of_block]) if name in _PER_ROW else value
            for name, value in first.items()
        }
        for of_block in zip(*arguments, strict=True)
        for first in of_block[:1]
    )
    return Tail(model, layer, torch.cat(residuals), joined)


def _record(model: ChatModel, batch: Batch, layer: int) -> tuple[Tensor, list[Mapping[str, Any]]]:
    """Residual that enters the block `layer`, and the other arguments of it and of each block above."""
    entering: list[Tensor] = []
    arguments: list[Mapping[str, Any]] = []

    def per_row(value: Tensor) -> Tensor:
        return value.expand(len(batch.ids), *value.shape[1:])

    def keep(block: torch.nn.Module, args: tuple[Tensor, ...], kwargs: Mapping[str, Any]) -> None:
        entering.append((args[0] if args else kwargs["hidden_states"]).detach())
        arguments.append(
            {
                name: _map(value, per_row) if name in _PER_ROW else value
                for name, value in kwargs.items()
                if name not in _NOT_REPLAYED
            }
        )

    handles = [
        block.register_forward_pre_hook(keep, with_kwargs=True) for block in model.bridge.blocks[layer:]
    ]
    try:
        with torch.no_grad():
            model.bridge(
                batch.ids,
                attention_mask=batch.mask,
                position_ids=batch.position_ids,
                use_cache=False,
                logits_to_keep=1,
            )
    finally:
        for handle in handles:
            handle.remove()
    return entering[0], arguments


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change a tensor, or each of a tuple; None, the mask where nothing is masked, stays."""
    if isinstance(value, tuple):
        return tuple(_map(part, change) for part in value)
    return None if value is None else change(value)


def _join(parts: list[Any]) -> Any:
    """One argument of several batches as that of all their rows."""
    if isinstance(parts[0], tuple):
        return tuple(_join(list(part)) for part in zip(*parts, strict=True))
    return None if parts[0] is None else torch.cat(parts)
