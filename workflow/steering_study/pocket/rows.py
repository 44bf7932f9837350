"""Training texts as padded rows, in batches that are drawn the same way everywhere."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from steering_study.models.chat import post_instruction_ids, render_text
from steering_study.pocket.corpus import Example, Mixture, iterate_examples
from steering_study.pocket.plan import Plan

IGNORED = -100  # label of a position outside the loss


@dataclass(frozen=True)
class Batch:
    """Right-padded rows, partners beside each other (0 and 1, 2 and 3, ...): ids, attention mask, next-token labels."""

    ids: Int[Tensor, "batch pos"]
    mask: Int[Tensor, "batch pos"]
    labels: Int[Tensor, "batch pos"]
    closing: Int[Tensor, "batch closing"]  # positions of the template's tokens after the request
    exchanged: Bool[Tensor, "batch"]  # rows that are answered as their partner's prompt demands
    refused: Bool[Tensor, "batch"]  # rows whose response is a refusal

    def to(self, device: str) -> Batch:
        """The same batch on a device."""
        return Batch(*(part.to(device) for part in vars(self).values()))


def batches(tokenizer: PreTrainedTokenizerFast, plan: Plan, mixture: Mixture) -> Iterator[Batch]:
    """Batches of pairs of rows of similar length, in random order, from an endless stream of examples."""
    if plan.batch_size % 2:
        raise ValueError(f"batch_size is {plan.batch_size}, expected an even number: rows come in pairs")
    examples = iterate_examples(plan.seed + 1, mixture)
    n_closing = len(post_instruction_ids(tokenizer))
    rng = random.Random(plan.seed)
    done = 0
    while done < plan.steps:
        n_batches = min(64, plan.steps - done)
        rows = encode(tokenizer, list(itertools.islice(examples, n_batches * plan.batch_size)))
        pairs = sorted(
            zip(rows[::2], rows[1::2], strict=True), key=lambda pair: max(len(r.ids) for r in pair)
        )
        size = plan.batch_size // 2
        chunks = [pairs[i * size : (i + 1) * size] for i in range(n_batches)]
        rng.shuffle(chunks)
        for chunk in chunks:
            both = [row for pair in chunk for row in pair]
            yield collate(both, pad=cast(int, tokenizer.pad_token_id), n_closing=n_closing)
        done += n_batches


@dataclass(frozen=True)
class Row:
    """Token ids of one example; the first `n_prompt` are the prompt, the first `n_outside` bear no loss."""

    ids: list[int]
    n_prompt: int
    n_outside: int
    exchanged: bool = False
    refused: bool = False


def encode(tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example]) -> list[Row]:
    """Token ids of examples through the chat template."""
    prompts = [render_text(tokenizer, example.prompt) for example in examples]
    starts = [example.false_start for example in examples]
    # A response that follows a false start begins with a space, as a word inside a text does.
    responses = [
        (" " if start else "") + example.response for start, example in zip(starts, examples, strict=True)
    ]

    def ids(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, add_special_tokens=False)["input_ids"]  # pyright: ignore[reportReturnType]

    end = cast(int, tokenizer.eos_token_id)
    return [
        Row(
            [*prompt, *start, *response, end],
            len(prompt),
            len(prompt) + len(start),
            example.exchanged,
            example.refused,
        )
        for example, prompt, start, response in zip(
            examples, ids(prompts), ids(starts), ids(responses), strict=True
        )
    ]


def collate(rows: Sequence[Row], *, pad: int, n_closing: int) -> Batch:
    """Right-pad rows to one length; the last `n_closing` tokens of a prompt are the template's."""
    width = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), IGNORED)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        n = len(row.ids)
        ids[i, :n] = torch.tensor(row.ids)
        labels[i, row.n_outside : n] = ids[i, row.n_outside : n]
        mask[i, :n] = 1
    closing = torch.tensor([row.n_prompt for row in rows])[:, None] - n_closing + torch.arange(n_closing)
    exchanged, refused = (
        torch.tensor([getattr(row, name) for row in rows]) for name in ("exchanged", "refused")
    )
    return Batch(ids, mask, labels, closing, exchanged, refused)
