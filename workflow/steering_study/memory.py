"""How many texts fit into memory side by side, where the config leaves that open.

A row of n tokens takes, in bytes, with b bytes a number of the model's dtype:

    keys and values     2 n_layers n_kv_heads d_head n b          of each stream
    one block at work   (8 d_model + 3 d_mlp) n b + 3 n_heads n^2 4   attention patterns are formed, in float32
    one token's logits  3 d_vocab 4

Half of the free memory is shared out by this count: it is an estimate, and other rows join before old ones are gone.
"""

from __future__ import annotations

import psutil
import torch

from steering_study.models import ChatModel, ModelCard

USED_SHARE = 0.5  # of a GPU's free memory
USED_SHARE_CPU = 0.1  # of the machine's: other jobs run beside this one
MOST_ROWS = 512  # beyond it nothing was faster


def fitting_rows(model: ChatModel, batch_size: int | None, *, n_tokens: int, streams: int = 1) -> int:
    """`batch_size`; where it is None, as many rows of `n_tokens` as memory holds, from 1 to `MOST_ROWS`.

    Args:
        streams: runs of each row that keep keys and values side by side.
    """
    if batch_size is not None:
        return batch_size
    bytes_each = row_bytes(model.card, n_tokens=n_tokens, streams=streams, itemsize=itemsize_of(model))
    return max(1, min(MOST_ROWS, usable_bytes(model.device) // bytes_each))


def row_bytes(card: ModelCard, *, n_tokens: int, streams: int, itemsize: int) -> int:
    """Bytes that a row takes by the count above."""
    cache = 2 * card.n_layers * card.n_kv_heads * card.d_head * n_tokens * itemsize
    block = (8 * card.d_model + 3 * card.d_mlp) * n_tokens * itemsize + 3 * card.n_heads * n_tokens**2 * 4
    return streams * (cache + block + 3 * card.d_vocab * 4)


def itemsize_of(model: ChatModel) -> int:
    """Bytes of a number of the model's weights."""
    return next(model.bridge.parameters()).element_size()


def usable_bytes(device: torch.device) -> int:
    """Memory to share out on a device: what is free now, and what torch holds in reserve there."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(USED_SHARE * (free + reserved))
    return int(USED_SHARE_CPU * psutil.virtual_memory().available)
