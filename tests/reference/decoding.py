"""Steered greedy decoding, one prompt at a time, the whole prefix run again for every token, no cache; forced text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def added(plain: Any, shift: Tensor, *, layer: int) -> Iterator[None]:
    """A plain Hugging Face model with a shift added to the input of a block."""

    def add(module: torch.nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (args[0] + shift, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": kwargs["hidden_states"] + shift}

    handle = plain.model.layers[layer].register_forward_pre_hook(add, with_kwargs=True)
    try:
        with torch.no_grad():
            yield
    finally:
        handle.remove()


def predict_slowly(
    plain: Any, prompt: Sequence[int], response: Sequence[int], *, shift: Tensor, layer: int
) -> Tensor:
    """Log-probabilities of every token at each position of a response, steered at all positions."""
    with added(plain, shift, layer=layer):
        logits = plain(torch.tensor([[*prompt, *response]]), use_cache=False).logits[0]
    return logits[len(prompt) - 1 : -1].log_softmax(-1)


def decode_slowly(
    plain: Any,
    prompt: Sequence[int],
    *,
    vector: Tensor,
    coefficient: float,
    layer: int,
    max_new_tokens: int,
    end_ids: Sequence[int],
) -> list[int]:
    """Greedy tokens of a plain Hugging Face model with coefficient * vector added to the input of a block."""
    ids = list(prompt)
    with added(plain, coefficient * vector, layer=layer):
        for _ in range(max_new_tokens):
            logits = plain(torch.tensor([ids]), use_cache=False).logits[0, -1]
            ids.append(int(logits.argmax()))
            if ids[-1] in end_ids:
                break
    return ids[len(prompt) :]
