"""Raw files of any layout to prompts: what a file's columns mean, and one record a prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from steering_study.prompts.words import normalise_text
from steering_study.store.records import read_records

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
