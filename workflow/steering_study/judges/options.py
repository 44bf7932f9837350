"""What the config says of judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steering_study.judges.registry import EMBEDDED, check_judge, own_judges


@dataclass(frozen=True)
class Judges:
    """Who says whether a response refuses, and when a text is degenerate."""

    harmless: str
    harmful: str
    second: str | None  # reads every text beside those two, for comparison
    classifiers: Mapping[str, Mapping[str, Any]]
    labels: str | None  # file of labelled texts; None: those of the bundled models' corpus
    label_prompts: int
    max_repetition: float
    max_improbable: float

    @property
    def in_use(self) -> list[str]:
        """Judges that read the study's texts."""
        return sorted({self.harmless, self.harmful, self.second} - {None})

    @property
    def tested(self) -> list[str]:
        """Judges whose error is measured: those that need no model, those in use, classifiers with an entry, and the user's own."""
        return sorted({*EMBEDDED, *self.in_use, *self.classifiers, *own_judges()})


def read_options(section: Mapping[str, Any]) -> Judges:
    """Judges that there are, an adapter's base model for an adapter alone, and labelled texts that are there.

    Raises:
        ValueError: if one of them is not so.
    """
    for key in ("harmless", "harmful", "second"):
        if section[key] is None:
            continue
        try:
            check_judge(section[key])
        except ValueError as error:
            raise ValueError(f"config: judges.{key} is {error}") from None
    for name, options in section["classifiers"].items():
        if name != "strongreject" and options.keys() & {"base_model", "base_revision"}:
            raise ValueError(
                f"config: judges.classifiers.{name} has a base model, but only strongreject is an adapter; remove it"
            )
    labels = section["labels"]
    if labels is not None and not Path(labels).is_file():
        raise ValueError(
            f"config: judges.labels is {labels!r}, where there is no file; expected a CSV of prompt, response and "
            "label, or null (docs/judges.md)"
        )
    return Judges(**section)
