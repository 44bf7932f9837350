"""Build the `prompts` table from raw prompt files.

1. `read_prompts`: one raw file (CSV, JSON list, JSONL, TXT) to prompts with id, label, source and split. A file that
   does not say the split of each row gives prompts of split `POOL` or `TEST_POOL`, which step 6 draws from.
2. `drop_blank`: prompts that show nothing go.
3. `exclude_overlaps`: pools lose the prompts that a test set also holds (the public sets quote each other).
4. `drop_duplicates`: a prompt counts once in the pool of its label, and once in a test set.
5. `check_overlap`: no test prompt outside the test split, no prompt under both labels. Again after step 6.
6. `sample_splits`: a seeded draw from the pools; rows that came with a split are taken in file order.

Prompts are compared as `normalise_text` spells them: the same words to a reader's eye, not the same meaning.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from steering_study.plain_text import APOSTROPHES, visible_text
from steering_study.records import read_records

Label = Literal["harmful", "harmless"]
Split = Literal["train", "validation", "test", "augmentation"]
Role = Literal["pool", "test"]
LABELS: tuple[str, ...] = get_args(Label)
SPLITS: tuple[str, ...] = get_args(Split)
TRAINING_SPLITS = ("train", "validation", "augmentation")

# Splits of prompts that are still to be drawn, by the role of their file; none of them reaches the table
POOL, TEST_POOL = "pool", "test_pool"
_UNDRAWN = {"pool": POOL, "test": TEST_POOL}

# A spec also says where its file is. The rules read that; here the path is an argument.
_WHERE_KEYS = {"path", "file", "url", "sha256", "bytes", "rows"}


@dataclass(frozen=True)
class Prompt:
    """One row of the `prompts` table."""

    id: str
    split: str
    label: str
    source: str
    concept: str
    text: str

    @cached_property
    def key(self) -> str:
        """What prompts are compared by."""
        return normalise_text(self.text)


@dataclass(frozen=True)
class PromptSource:
    """How to read one raw file: which field is what.

    The label is `label` for the whole file, or `label_column` through `label_values`. The split is `role` for the
    whole file (`pool`: splits are drawn from it; `test`: it is a test set), or `split_column`.
    """

    name: str
    text: str  # field that holds the prompt
    role: str | None = None  # a Role; checked below, as it comes from a config
    label: str | None = None  # a Label, idem
    label_column: str | None = None
    label_values: Mapping[Any, Label] | None = None  # value in the file -> label of the study
    split_column: str | None = None
    id_column: str | None = None  # None: ids are made of the name and the record number
    licence: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+", self.name):
            raise ValueError(
                f"prompt source name {self.name!r} has other signs than letters, digits and _; rename it"
            )
        spelled = Counter(map(_spell, self.label_values or {}))
        for wrong, expected in (
            (
                max(spelled.values(), default=1) > 1,
                f"label_values that differ in more than case, not {list(self.label_values or {})}",
            ),
            ((self.label is None) == (self.label_column is None), "either label or label_column"),
            (
                (self.label_column is None) != (not self.label_values),
                "label_column and label_values together",
            ),
            ((self.role is None) == (self.split_column is None), "either role or split_column"),
            (self.role not in (None, *get_args(Role)), f"role pool or test, not {self.role!r}"),
            (not self.labels <= set(LABELS), f"labels from {LABELS}, not {self.labels}"),
        ):
            if wrong:
                raise ValueError(f"prompt source {self.name!r} needs {expected}; see docs/prompts.md")

    @property
    def labels(self) -> set[str]:
        """Labels that its prompts can have."""
        return {str(self.label)} if self.label_values is None else set(self.label_values.values())

    def dataset(self, label: str) -> str:
        """Value of the `source` column; a file with both labels is two sets, so that each set has one label."""
        return self.name if len(self.labels) == 1 else f"{self.name}_{label}"


def parse_source(spec: Mapping[str, Any]) -> PromptSource:
    """Make a source from its entry in the config or in `resources/prompts/public.yaml`.

    Raises:
        ValueError: if a key is unknown or missing, or keys contradict each other.
    """
    known = {field.name for field in fields(PromptSource)}
    unknown, missing = set(spec) - known - _WHERE_KEYS, {"name", "text"} - set(spec)
    if unknown or missing:
        raise ValueError(
            f"prompt source {spec.get('name', '?')!r} has unknown keys {sorted(unknown)} and lacks {sorted(missing)}; "
            f"it takes {sorted(known | _WHERE_KEYS)}"
        )
    return PromptSource(**{key: value for key, value in spec.items() if key in known})


def prompts_frame(prompts: Sequence[Prompt]) -> pd.DataFrame:
    """Prompts as a frame with the columns of the `prompts` table."""
    return pd.DataFrame(
        [asdict(prompt) for prompt in prompts], columns=[field.name for field in fields(Prompt)]
    )


def prompts_of(frame: pd.DataFrame) -> list[Prompt]:
    """Rows of the `prompts` table as prompts."""
    return [Prompt(*row) for row in frame[[field.name for field in fields(Prompt)]].itertuples(index=False)]


# Reading


def read_prompts(path: Path, source: PromptSource, *, concept: str) -> list[Prompt]:
    """Read one raw file, in file order; ids without an `id_column` count its records from 0.

    Raises:
        ValueError: if the file cannot be read, lacks a field, or holds an empty prompt, a label that is not in
            `label_values` or an unknown split.
    """
    columns = [
        name for name in (source.label_column, source.split_column, source.id_column) if name is not None
    ]
    label_of = {_spell(value): label for value, label in (source.label_values or {}).items()}
    prompts = []
    for number, record in read_records(path, text=source.text, columns=columns):
        label, split = source.label, _UNDRAWN.get(source.role or "")
        where = f"{path}: record {number}"
        if source.label_column is not None:
            label = _choose(record[source.label_column], label_of, f"{where}: {source.label_column}")
        if source.split_column is not None:
            split = _choose(
                record[source.split_column], {s: s for s in SPLITS}, f"{where}: {source.split_column}"
            )
        prompts.append(
            Prompt(
                id=str(record[source.id_column]) if source.id_column else f"{source.name}-{number:04d}",
                split=str(split),
                label=str(label),
                source=source.dataset(str(label)),
                concept=concept,
                text=record[source.text].strip(),
            )
        )
    return prompts


def _choose(value: Any, choices: Mapping[str, str], where: str) -> str:
    if _spell(value) not in choices:
        raise ValueError(
            f"{where} is {value!r}, expected one of {list(choices)}; correct it or the prompt source"
        )
    return choices[_spell(value)]


def _spell(value: Any) -> str:
    """One spelling of a cell: YAML and JSON know 1 and true, CSV only their text."""
    return str(value).strip().casefold()


# Overlap and duplicates

_BETWEEN_DIGITS = re.compile(r"(?<=\d)\s*([^\w\s])\s*(?=\d)")


def normalise_text(text: str) -> str:
    """Spell a prompt so that prompts in which a reader sees the same words are equal.

    Case, punctuation, apostrophes, spacing, Unicode compatibility forms and signs that show nothing go. A sign between two
    digits is spelled out, so that "3 + 4" and "3 - 4" stay two prompts; # and % stay for C# and percentages. A text of
    nothing but punctuation is compared as it shows.
    """
    plain = unicodedata.normalize("NFKC", visible_text(APOSTROPHES.sub("", text)).casefold())
    plain = _BETWEEN_DIGITS.sub(lambda sign: f" {unicodedata.name(sign[1], '')} ".casefold(), plain)
    return " ".join("".join(" " if _is_dropped(char) else char for char in plain).split()) or visible_text(
        text
    )


def _is_dropped(char: str) -> bool:
    return unicodedata.category(char).startswith("P") and char not in "#%"


def drop_blank(prompts: Sequence[Prompt]) -> tuple[list[Prompt], dict[str, int]]:
    """Drop prompts that show nothing; gives the rest, and the number dropped by source."""
    return _partition(prompts, lambda prompt: not visible_text(prompt.text))


def exclude_overlaps(prompts: Sequence[Prompt]) -> tuple[list[Prompt], dict[str, int]]:
    """Drop from pools what a test set also holds; gives the rest, and the number dropped by source."""
    tested = {prompt.key for prompt in prompts if _is_test(prompt)}
    return _partition(prompts, lambda prompt: prompt.split == POOL and prompt.key in tested)


def drop_duplicates(prompts: Sequence[Prompt]) -> tuple[list[Prompt], dict[str, int]]:
    """Keep the first of equal prompts; gives the rest, and the number dropped by source.

    Prompts of one label outside the test split are one pool, whichever file they came from. A test set is a
    published unit: only repeats inside it are dropped.
    """
    seen: set[tuple[str, str, str]] = set()

    def is_repeat(prompt: Prompt) -> bool:
        key = (prompt.label, prompt.source if _is_test(prompt) else POOL, prompt.key)
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
        [prompt for prompt in prompts if _is_test(prompt)],
        [prompt for prompt in prompts if not _is_test(prompt)],
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


def _is_test(prompt: Prompt) -> bool:
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


# Sampling


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
    sources, tests = {p.source for p in prompts}, {p.source for p in prompts if _is_test(p)}
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
