"""Forward passes over prompts and over given responses, without and with steering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steering_study.models.batches import Batch, TokenIds, batches_by_length, left_pad
from steering_study.models.hooks import Hook, Steering, check_steering, steering_hooks
from steering_study.models.loading import ChatModel
from steering_study.models.memory import fitting_rows, scored_rows
from steering_study.models.sizes import MAX_LOGITS


def last_logits(
    model: ChatModel, batch: Batch, *, hooks: Sequence[Hook] = (), steering: Steering | None = None
) -> Float[Tensor, "batch d_vocab"]:
    """Logits at the last position of each row, in float32, under hooks and steering."""
    with torch.no_grad(), model.bridge.hooks(fwd_hooks=[*_steering_hooks(model, batch, steering), *hooks]):
        logits = model.bridge(
            batch.ids,
            attention_mask=batch.mask,
            position_ids=batch.position_ids,
            use_cache=False,
            logits_to_keep=1,
        )
    return logits[:, -1].float()


def _steering_hooks(model: ChatModel, batch: Batch, steering: Steering | None) -> list[Hook]:
    if steering is None:
        return []
    check_steering(steering, n_layers=model.card.n_layers, d_model=model.card.d_model)
    return steering_hooks(steering, batch.mask.bool())


def prompt_batches(
    model: ChatModel, prompts: Sequence[TokenIds], batch_size: int | None
) -> Iterator[tuple[list[int], Batch]]:
    """Prompts in batches; None: as many side by side as memory holds."""
    fitting = fitting_rows(model, batch_size, n_tokens=max(map(len, prompts), default=1))
    for indices in batches_by_length(prompts, batch_size=fitting):
        yield indices, left_pad([prompts[i] for i in indices], pad=model.pad_id, device=model.device)


def joined(model: ChatModel, prompts: Sequence[TokenIds], responses: Sequence[TokenIds]) -> list[TokenIds]:
    """Prompts followed by given responses.

    Raises:
        ValueError: if a text is longer than the model's context, where its positions mean nothing.
    """
    rows = [(*prompt, *response) for prompt, response in zip(prompts, responses, strict=True)]
    longest = max(range(len(rows)), key=lambda i: len(rows[i]), default=None)
    if longest is not None and len(rows[longest]) > model.card.context:
        raise ValueError(
            f"a prompt of {len(prompts[longest])} tokens with a response of {len(responses[longest])} goes beyond the context "
            f"of {model.card.name}, {model.card.context} tokens; shorten the prompt or leave it out"
        )
    return rows


def response_batches(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    *,
    batch_size: int | None,
    max_logits: int = MAX_LOGITS,
) -> Iterator[tuple[list[int], Batch]]:
    """Prompts joined with given responses, in batches; each row ends with its response."""
    rows = joined(model, prompts, responses)
    longest = max((len(response) for response in responses), default=0)
    n_tokens = max(map(len, rows), default=1)
    fitting = scored_rows(model, batch_size, n_tokens=n_tokens, n_scored=longest + 1, max_logits=max_logits)
    for indices in batches_by_length(rows, batch_size=fitting):
        yield indices, left_pad([rows[i] for i in indices], pad=model.pad_id, device=model.device)


def response_targets(
    batch: Batch, lengths: Sequence[int]
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
    """The last tokens of each row, as many as the longest response has, and which of them are its response."""
    longest = max(lengths)
    from_the_end = torch.arange(longest, 0, -1, device=batch.ids.device)
    is_response = from_the_end[None] <= torch.tensor(lengths, device=batch.ids.device)[:, None]
    return batch.ids[:, batch.ids.shape[1] - longest :], is_response


def forced_logits(
    model: ChatModel, batch: Batch, *, n_positions: int, steering: Steering | None = None
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits, in float32, that predict the last `n_positions` tokens of each row."""
    with torch.no_grad(), model.bridge.hooks(fwd_hooks=_steering_hooks(model, batch, steering)):
        logits = model.bridge(
            batch.ids,
            attention_mask=batch.mask,
            position_ids=batch.position_ids,
            use_cache=False,
            logits_to_keep=n_positions + 1,
        )
    return logits[:, :-1].float()  # logits at position i predict the token at i + 1
