"""Prompts to the splits of a study: train, validation, test and augmentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from steering_study.prompts.overlap import is_test
from steering_study.prompts.sources import LABELS, POOL, SPLITS, TEST_POOL, TRAINING_SPLITS, Prompt


def sample_splits(
    prompts: Sequence[Prompt],
    generator: np.random.Generator,
    *,
    sizes: Mapping[str, int],
    test_sizes: Mapping[str, int | None],
) -> list[Prompt]:
    """Give each prompt its split: `sizes` prompts a label, `test_sizes` prompts a test set.

    The pool of a label is shuffled once. Test prompts come from the front of that order and the others from its back,
    so a larger test set begins with the smaller one and leaves the other splits alone. A test set is shuffled too: its
    first n prompts are the sample of size n. Both must hold what is asked of them. Prompts that came with a split are
    taken in file order, at most as many as asked.

    Args:
        prompts: free of duplicates.
        generator: the source of all randomness.
        sizes: number of train, validation and augmentation prompts of each label.
        test_sizes: number of test prompts by source, None for all. A pool that is named here gives test prompts too.

    Returns:
        Prompts ordered by split, label and, in the test split, source.

    Raises:
        ValueError: if a size is no count, names an unknown set or exceeds a pool, or if a split is left empty.
    """
    _require_sizes(prompts, sizes, test_sizes)
    sampled: list[Prompt] = []
    for label in LABELS:
        given = [p for p in prompts if p.label == label and p.split in SPLITS]
        test_pool = [p for p in prompts if p.label == label and p.split == TEST_POOL]
        pool = _shuffle([p for p in prompts if p.label == label and p.split == POOL], generator)
        test_of_pool = _take_tests([p for p in pool if p.source in test_sizes], test_sizes)
        in_test = {prompt.id for prompt in test_of_pool}
        rest = [prompt for prompt in reversed(pool) if prompt.id not in in_test]
        if pool and any(prompt.split != "test" for prompt in given):
            raise ValueError(
                f"{label} prompts come from a pool and from a file with training splits; use one of the two a label"
            )
        sampled += _cap(given, sizes, test_sizes)
        sampled += _take_tests(_shuffle(test_pool, generator), test_sizes) + test_of_pool
        sampled += _deal(rest, sizes, label=label) if pool else []
    _require_filled(sampled, sizes, test_sizes)
    return sorted(sampled, key=lambda prompt: SPLITS.index(prompt.split))


def _shuffle(prompts: Sequence[Prompt], generator: np.random.Generator) -> list[Prompt]:
    return [prompts[i] for i in generator.permutation(len(prompts))]


def _cap(
    given: Sequence[Prompt], sizes: Mapping[str, int], test_sizes: Mapping[str, int | None]
) -> list[Prompt]:
    """First prompts of each training split and of each test set."""
    capped = [p for split in TRAINING_SPLITS for p in [q for q in given if q.split == split][: sizes[split]]]
    for source, test_set in _by_source([p for p in given if p.split == "test"]).items():
        capped += test_set[: test_sizes[source]]
    return capped


def _take_tests(prompts: Sequence[Prompt], test_sizes: Mapping[str, int | None]) -> list[Prompt]:
    """First prompts of each source, as test prompts."""
    taken = []
    for source, test_set in _by_source(prompts).items():
        n = test_sizes[source]
        if n is not None and n > len(test_set):
            raise ValueError(
                f"test set {source!r} has {len(test_set)} prompts, test_sizes asks for {n}; lower it, or null for all"
            )
        taken += [replace(prompt, split="test") for prompt in test_set[:n]]
    return taken


def _deal(rest: Sequence[Prompt], sizes: Mapping[str, int], *, label: str) -> list[Prompt]:
    """First prompts to train, the next to validation, the next to augmentation."""
    splits = [split for split in TRAINING_SPLITS for _ in range(sizes[split])]
    if len(splits) > len(rest):
        asked = " + ".join(f"{sizes[split]} {split}" for split in TRAINING_SPLITS)
        raise ValueError(
            f"the {label} pool has {len(rest)} prompts left after overlaps, duplicates and test prompts, "
            f"sizes ask for {asked}; lower them or add a source"
        )
    return [replace(prompt, split=split) for prompt, split in zip(rest, splits, strict=False)]


def _by_source(prompts: Sequence[Prompt]) -> dict[str, list[Prompt]]:
    """Prompts of each source; sources by name, so that their order is not that of a shuffle."""
    return {
        source: [p for p in prompts if p.source == source] for source in sorted({p.source for p in prompts})
    }


def _require_sizes(
    prompts: Sequence[Prompt], sizes: Mapping[str, int], test_sizes: Mapping[str, int | None]
) -> None:
    if set(sizes) != set(TRAINING_SPLITS):
        raise ValueError(
            f"sizes names {sorted(sizes)}, expected {', '.join(TRAINING_SPLITS)}; correct the config"
        )
    for name, n in [*sizes.items(), *((name, n) for name, n in test_sizes.items() if n is not None)]:
        if not isinstance(n, int) or n < 0:
            raise ValueError(
                f"size of {name!r} is {n!r}, expected a whole number from 0 on; correct the config"
            )
    sources, tests = {p.source for p in prompts}, {p.source for p in prompts if is_test(p)}
    if unknown := sorted(set(test_sizes) - sources):
        raise ValueError(
            f"test_sizes names {unknown}, the prompt sources are {sorted(sources)}; correct one of the two"
        )
    if unsized := sorted(tests - set(test_sizes)):
        raise ValueError(f"test_sizes lacks {unsized}; give each a number, null for all of it or 0 for none")


def _require_filled(
    sampled: Sequence[Prompt], sizes: Mapping[str, int], test_sizes: Mapping[str, int | None]
) -> None:
    filled = {(prompt.split, prompt.label) for prompt in sampled}
    for split in TRAINING_SPLITS:
        for label in LABELS:
            if sizes[split] and (split, label) not in filled:
                raise ValueError(
                    f"no {label} prompt is left for {split}, expected up to {sizes[split]}; add some or set it to 0"
                )
    tested = {prompt.source for prompt in sampled if prompt.split == "test"}
    if empty := sorted(source for source, n in test_sizes.items() if n != 0 and source not in tested):
        raise ValueError(
            f"no test prompt is left in {empty}; mark some of its rows as test, or take it from test_sizes"
        )


def count_prompts(prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """Number of prompts of every split, label and source."""
    counts = Counter((prompt.split, prompt.label, prompt.source) for prompt in prompts)
    return [
        {"split": split, "label": label, "source": source, "n": n}
        for (split, label, source), n in counts.items()
    ]
