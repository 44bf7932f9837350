"""Prompts as token ids: the chat template, the post-instruction span, padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

TokenIds = tuple[int, ...]
Variables = Mapping[str, Any]  # what a chat template is given beside the message
NO_VARIABLES: Variables = MappingProxyType({})
DATE_PARTS = ("%a", "%A", "%b", "%B", "%d", "%-d", "%m", "%y", "%Y", "%H", "%M", "%S")


@dataclass(frozen=True)
class Batch:
    """Left-padded rows, so that position -1 is the last token of each; the mask is 1 on real tokens."""

    ids: Int[Tensor, "batch pos"]
    mask: Int[Tensor, "batch pos"]

    @property
    def position_ids(self) -> Int[Tensor, "batch pos"]:
        """Position of each token in its own row; 0 on padding."""
        return (self.mask.cumsum(-1) - 1).clamp(min=0)


def render_chat(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    context: int,
    variables: Variables = NO_VARIABLES,
) -> list[TokenIds]:
    """Token ids of one-turn user prompts through the model's chat template, ready for its answer.

    The template writes the BOS itself, where the family has one, so none is added by the tokenizer.

    Raises:
        ValueError: if a prompt does not leave room for an answer in the model's context.
    """
    once = list(dict.fromkeys(texts))  # answered under many settings, a prompt is there many times
    rendered = [render_text(tokenizer, text, variables=variables) for text in once]
    rows = tokenizer(rendered, add_special_tokens=False)["input_ids"] if once else []
    for text, row in zip(once, rows, strict=True):
        if len(row) >= context:
            raise ValueError(
                f"prompt {text[:60]!r}... has {len(row)} tokens, the model's context is {context}; "
                "shorten the prompt or leave it out"
            )
    ids = {text: tuple(row) for text, row in zip(once, rows, strict=True)}
    return [ids[text] for text in texts]


def render_text(tokenizer: PreTrainedTokenizerBase, text: str, *, variables: Variables = NO_VARIABLES) -> str:
    """The prompt as the model sees it, in words.

    Args:
        variables: what the template is given; `date` (ISO) is what it takes for today.

    Raises:
        ValueError: if the template may write today's date and none is given: prompts would change from day to day.
    """
    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        template = _clock(variables) + template
    return tokenizer.apply_chat_template(  # pyright: ignore[reportReturnType]
        [{"role": "user", "content": text}],
        chat_template=template,
        tokenize=False,
        add_generation_prompt=True,
        **variables,
    )


def _clock(variables: Variables) -> str:
    """A macro that stands in for `strftime_now` of transformers, which takes no function from outside."""
    if "date" not in variables:
        raise ValueError("the chat template writes today's date; give one in config: prompts.template.date")
    day = date.fromisoformat(variables["date"])
    parts = (f"replace('{each}', '{day.strftime(each)}')" for each in DATE_PARTS)
    return f"{{% macro strftime_now(layout) %}}{{{{ layout | {' | '.join(parts)} }}}}{{% endmacro %}}"


def post_instruction_ids(
    tokenizer: PreTrainedTokenizerBase, *, variables: Variables = NO_VARIABLES
) -> TokenIds:
    """Tokens that the template writes after the user's text: what every prompt ends with.

    Found as the longest common ending of prompts whose texts end differently.
    """
    rows = [render_text(tokenizer, text, variables=variables) for text in ("one", "Two?", "3", "four.")]
    ids = tokenizer(rows, add_special_tokens=False)["input_ids"]
    shared = 0
    while all(len(row) > shared and row[-1 - shared] == ids[0][-1 - shared] for row in ids):
        shared += 1
    if shared == 0:
        raise ValueError("the chat template writes nothing after the user's text; expected an answer prefix")
    return tuple(ids[0][len(ids[0]) - shared :])


def left_pad(rows: Sequence[Sequence[int]], *, pad: int, device: torch.device | str) -> Batch:
    """Pad rows on the left to one length."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, width - len(row) :] = torch.tensor(row)
        mask[i, width - len(row) :] = 1
    return Batch(ids.to(device), mask.to(device))


def batches_by_length(rows: Sequence[Sequence[int]], *, batch_size: int) -> Iterator[list[int]]:
    """Indices of the rows, longest first, in batches: little padding, and the largest batch comes first.

    Equal rows follow each other, so that a batch can share what they share.
    """
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), tuple(rows[i]), i))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
