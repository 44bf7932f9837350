"""How many texts go side by side, where the config leaves that open.

A row of n tokens takes, in bytes, with b bytes a number of the model's dtype:

    keys and values     2 n_layers n_kv_heads d_head n b                    of each stream
    one block at work   (8 d_model + 3 d_mlp) n b + 3 n_heads n^2 4         attention patterns are formed, in float32
    one token's logits  3 d_vocab 4

Half of a GPU's free memory is shared out by this count: it is an estimate, buffers of keys and values run up to a quarter
ahead, and other rows join before old ones are gone.
On a CPU the number is fixed, since a cluster's node has more memory than the job may take.
"""

from __future__ import annotations

import torch

from steering_study.models.card import ModelCard
from steering_study.models.loading import ChatModel
from steering_study.models.sizes import BYTES, MAX_LOGITS, OPEN_ROWS, cache_bytes

USED_SHARE = 0.5  # of free memory
MOST_ROWS = 512  # beyond it nothing was faster


def fitting_rows(
    model: ChatModel, batch_size: int | None, *, n_tokens: int, streams: int = 1, values: int = 0
) -> int:
    """`batch_size`; where it is None, as many rows of `n_tokens` as a GPU holds, from 1 to 512, or 32 on a CPU.

    Args:
        streams: runs of each row that keep keys and values side by side.
        values: numbers of the model's dtype that a row takes besides.
    """
    if batch_size is not None:
        return batch_size
    if model.device.type != "cuda":
        return OPEN_ROWS
    of_one = row_bytes(model.card, n_tokens, streams) + values * BYTES[model.card.dtype]
    return max(1, min(MOST_ROWS, usable_bytes(model.device) // of_one))


def scored_rows(
    model: ChatModel, batch_size: int | None, *, n_tokens: int, n_scored: int, max_logits: int = MAX_LOGITS
) -> int:
    """`fitting_rows`, and fewer where logits at `n_scored` positions of each would be more than `max_logits`; at least one."""
    in_memory = fitting_rows(model, batch_size, n_tokens=n_tokens)
    return max(1, min(in_memory, max_logits // (n_scored * model.card.d_vocab)))


def row_bytes(card: ModelCard, n_tokens: int, streams: int) -> int:
    """Bytes that a row takes by the count above."""
    cache = cache_bytes(card.to_json(), rows=1, tokens=n_tokens)
    inside = (8 * card.d_model + 3 * card.d_mlp) * n_tokens * BYTES[card.dtype]
    return streams * (cache + inside + 3 * 4 * (card.n_heads * n_tokens**2 + card.d_vocab))


def usable_bytes(device: torch.device) -> int:
    """Half of what is free on a GPU now, torch's own reserve included."""
    free, _ = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(USED_SHARE * (free + reserved))
