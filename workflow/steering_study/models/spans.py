"""Where the tokens of a text stand in it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

Span = tuple[int, int]


def token_spans(tokenizer: PreTrainedTokenizerBase, text: str, ids: Sequence[int]) -> list[Span]:
    """Start and end of each token in the text that the tokens decode to; an empty span for one that shows nothing.

    A text splits into its tokens again as a rule, and the tokenizer knows their places; where it does not, they are decoded one by one.
    """
    again = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    if list(again["input_ids"]) == list(ids):
        return [(int(start), int(end)) for start, end in again["offset_mapping"]]
    ends = [0]
    for n in range(1, len(ids) + 1):
        so_far = str(tokenizer.decode(list(ids[:n]), skip_special_tokens=True))
        ends.append(max(ends[-1], min(len(so_far.rstrip("\ufffd")), len(text))))  # part of a sign shows later
    return list(itertools.pairwise(ends))
