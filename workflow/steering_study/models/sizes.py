"""How many numbers and bytes a model's parts take: closed forms of its card, without loading it.

Cards are given as plain values (`ModelCard.to_json`), so that rules can count before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}  # of a number
MAX_LOGITS = 2**28  # of a forward pass over given responses, `likelihoods.response_logprobs`
SOURCE_COPIES = 3  # of all sources' changes: a circuit's, the steered run's, and what readers take of them
OPEN_ROWS = 32  # side by side on a CPU where the config leaves it open, `memory.fitting_rows`


def count_parameters(card: Mapping[str, Any]) -> int:
    """Parameters of a model, norms and biases left out, embedding and unembedding counted apart.

    L (2 d (H + K) d_h + 3 d d_mlp) + 2 V d
    """
    heads = card["n_heads"] + card["n_kv_heads"]
    block = card["d_model"] * (2 * heads * card["d_head"] + 3 * card["d_mlp"])
    return card["n_layers"] * block + 2 * card["d_vocab"] * card["d_model"]


def cache_bytes(card: Mapping[str, Any], *, rows: int, tokens: int) -> int:
    """Keys and values of texts side by side: 2 L K d_h b B N."""
    per_token = 2 * card["n_layers"] * card["n_kv_heads"] * card["d_head"] * BYTES[card["dtype"]]
    return per_token * rows * tokens


def logit_bytes(card: Mapping[str, Any], *, rows: int, tokens: int) -> int:
    """Logits of a pass over given texts: those of the model, in float32, and their log-probabilities."""
    return 3 * 4 * min(rows * tokens * card["d_vocab"], MAX_LOGITS)


def source_values(*, n_src: int, tokens: int, d_model: int) -> int:
    """Numbers that a row of a circuit run holds: what each source changes, a few times over."""
    return SOURCE_COPIES * n_src * tokens * d_model


def backward_bytes(card: Mapping[str, Any], *, positions: int, tokens: int, new_tokens: int) -> int:
    """What a backward pass keeps: b L (8 d + 4 d_mlp + 2 H N) a position of texts of N tokens, and two logits of each response's."""
    block = 8 * card["d_model"] + 4 * card["d_mlp"] + 2 * card["n_heads"] * tokens
    kept = positions * BYTES[card["dtype"]] * card["n_layers"] * block
    return kept + 2 * 4 * card["d_vocab"] * (positions * new_tokens // tokens)
