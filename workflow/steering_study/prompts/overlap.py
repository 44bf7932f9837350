"""No prompt twice, none of the test split anywhere else, none with both labels."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence

from steering_study.plain_text import visible_text
from steering_study.prompts.sources import LABELS, POOL, TEST_POOL, Prompt


def drop_blank(prompts: Sequence[Prompt]) -> tuple[list[Prompt], dict[str, int]]:
    """Drop prompts that show nothing; gives the rest, and the number dropped by source."""
    return _partition(prompts, lambda prompt: not visible_text(prompt.text))


def exclude_overlaps(prompts: Sequence[Prompt]) -> tuple[list[Prompt], dict[str, int]]:
    """Drop from pools what a test set also holds; gives the rest, and the number dropped by source."""
    tested = {prompt.key for prompt in prompts if is_test(prompt)}
    return _partition(prompts, lambda prompt: prompt.split == POOL and prompt.key in tested)


def drop_duplicates(prompts: Sequence[Prompt]) -> tuple[list[Prompt], dict[str, int]]:
    """Keep the first of equal prompts; gives the rest, and the number dropped by source.

    Prompts of one label outside the test split are one pool, whichever file they came from. A test set is a
    published unit: only repeats inside it are dropped.
    """
    seen: set[tuple[str, str, str]] = set()

    def is_repeat(prompt: Prompt) -> bool:
        key = (prompt.label, prompt.source if is_test(prompt) else POOL, prompt.key)
        return key in seen or bool(seen.add(key))

    return _partition(prompts, is_repeat)


def check_overlap(prompts: Sequence[Prompt]) -> None:
    """Refuse a test prompt that occurs in another split, and a prompt that carries both labels.

    Raises:
        ValueError: naming up to three such prompts with their sources.
    """
    _refuse_shared(
        [prompt for prompt in prompts if prompt.label == LABELS[0]],
        [prompt for prompt in prompts if prompt.label != LABELS[0]],
        found="carry both labels",
        remedy="correct the files or the label_values of their sources",
    )
    _refuse_shared(
        [prompt for prompt in prompts if is_test(prompt)],
        [prompt for prompt in prompts if not is_test(prompt)],
        found="of the test split also occur in train, validation, augmentation or a pool",
        remedy="delete them from one of the two files, or results on them are not held out",
    )


def _refuse_shared(left: Sequence[Prompt], right: Sequence[Prompt], *, found: str, remedy: str) -> None:
    there = {prompt.key: prompt for prompt in reversed(right)}
    shared = {prompt.key: prompt for prompt in reversed(left) if prompt.key in there}
    if shared:
        examples = "; ".join(
            f"{textwrap.shorten(prompt.text, 60, placeholder='...')!r} ({prompt.id} of {prompt.source}, {there[key].id} of {there[key].source})"
            for key, prompt in list(shared.items())[:-4:-1]
        )
        raise ValueError(f"{len(shared)} prompt(s) {found}: {examples}; {remedy}")


def is_test(prompt: Prompt) -> bool:
    """Whether a prompt is of the test split, or will be."""
    return prompt.split in ("test", TEST_POOL)


def _partition(
    prompts: Sequence[Prompt], is_dropped: Callable[[Prompt], bool]
) -> tuple[list[Prompt], dict[str, int]]:
    kept, dropped = [], Counter()
    for prompt in prompts:
        if is_dropped(prompt):
            dropped[prompt.source] += 1
        else:
            kept.append(prompt)
    return kept, dict(dropped)
