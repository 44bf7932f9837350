"""Likelihoods of given texts under the unsteered model; a prompt that many texts answer is read once.

    log p(y_t | x, y_<t)

1. Run the distinct prompts x of a batch and keep their keys and values.
2. Run the responses to them, longest first, each from the keys and values of its prompt. Rows are padded on the
   right, where no token of theirs looks.
3. The first token of a response is predicted by the last of its prompt, every other by the one before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from steering_study.models.batches import Batch, TokenIds, batches_by_length, left_pad, right_pad
from steering_study.models.caches import SharedBlocks
from steering_study.models.loading import ChatModel
from steering_study.models.memory import fitting_rows, scored_rows
from steering_study.models.passes import joined
from steering_study.models.sizes import MAX_LOGITS
from steering_study.models.weights import read_head


def response_logprobs(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    *,
    batch_size: int | None,
    max_logits: int = MAX_LOGITS,
) -> list[tuple[float, ...]]:
    """Log-probability, in nats, of each token of given responses under the unsteered model.

    Args:
        batch_size: most rows of a forward pass; None, as many as memory holds.
        max_logits: most logits of a forward pass, rows x response positions x vocabulary; a batch takes fewer
            rows where it needs more, and never less than one.

    Raises:
        ValueError: if a response has no tokens, or goes beyond the model's context with its prompt.
    """
    if not all(responses):
        raise ValueError("a response has no tokens, so it has no likelihood; leave it out")
    answers: dict[TokenIds, list[int]] = defaultdict(list)
    for i, prompt in enumerate(prompts):
        answers[tuple(prompt)].append(i)
    distinct = list(answers)
    logprobs: list[tuple[float, ...]] = [()] * len(responses)
    n_tokens = max(map(len, joined(model, prompts, responses)), default=1)
    in_memory = fitting_rows(model, batch_size, n_tokens=n_tokens)
    with (
        torch.no_grad(),
        tqdm(total=len(responses), desc="score", unit="text", disable=None, leave=False) as bar,
    ):
        for batch in batches_by_length(distinct, batch_size=in_memory):
            read = _read_prompts(model, [distinct[i] for i in batch])
            # (row of the prompt among those read, number of the response)
            pairs = [(row, i) for row, prompt in enumerate(batch) for i in answers[distinct[prompt]]]
            texts = [responses[i] for _, i in pairs]
            longest = max(len(text) for text in texts)
            fitting = scored_rows(
                model, in_memory, n_tokens=n_tokens, n_scored=longest, max_logits=max_logits
            )
            for part in batches_by_length(texts, batch_size=fitting):
                rows = torch.tensor([pairs[k][0] for k in part], device=model.device)
                scored = _score(model, read, rows, [texts[k] for k in part])
                for k, values in zip(part, scored, strict=True):
                    logprobs[pairs[k][1]] = values
                bar.update(len(part))
    return logprobs


@dataclass(frozen=True)
class _Prompts:
    """Prompts that were run: their tokens, their keys and values, and logits of the token that comes next."""

    batch: Batch
    blocks: SharedBlocks
    next_logits: Float[Tensor, "prompt d_vocab"]


def _read_prompts(model: ChatModel, prompts: Sequence[TokenIds]) -> _Prompts:
    batch = left_pad(prompts, pad=model.pad_id, device=model.device)
    blocks = SharedBlocks(model, layer=model.card.n_layers)
    resid, _ = blocks.run(batch.ids, batch.mask, batch.position_ids)
    return _Prompts(batch, blocks, read_head(model).logits(resid[:, -1]))


def _score(
    model: ChatModel, read: _Prompts, rows: Int[Tensor, "response"], responses: Sequence[TokenIds]
) -> list[tuple[float, ...]]:
    """Log-probabilities of the tokens of responses, each to the prompt of its row."""
    ids, mask = right_pad(responses, pad=model.pad_id, device=model.device)
    is_own = mask.bool()
    losses = torch.zeros(ids.shape, dtype=read.next_logits.dtype, device=ids.device)
    losses[:, 0] = _negative_logprobs(read.next_logits[rows], ids[:, 0])
    if ids.shape[1] > 1:
        given, later = ids[:, :-1], is_own[:, 1:]
        first = read.batch.mask.sum(-1)[rows, None]
        resid, _ = read.blocks.branch(rows).run(
            given,
            torch.cat([read.batch.mask[rows], mask[:, :-1]], dim=1),
            first + torch.arange(given.shape[1], device=given.device),
        )
        losses[:, 1:][later] = _negative_logprobs(read_head(model).logits(resid[later]), ids[:, 1:][later])
    return [tuple((-each[own]).tolist()) for each, own in zip(losses, is_own, strict=True)]


def _negative_logprobs(
    logits: Float[Tensor, "token d_vocab"], ids: Int[Tensor, "token"]
) -> Float[Tensor, "token"]:
    return torch.nn.functional.cross_entropy(logits, ids, reduction="none")
