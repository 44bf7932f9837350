"""What the config says of prompts: their source, sizes, and the test sets that experiments take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steering_study.store.names import nearest


@dataclass(frozen=True)
class Prompts:
    """Where prompts come from and how many are taken."""

    source: Literal["bundled", "public", "files"]
    concept: str
    template: Mapping[str, Any]  # what chat templates are given beside the message
    mirror: str | None
    files: Sequence[Mapping[str, Any]]
    sizes: Mapping[str, int]
    test_sizes: Mapping[str, int | None]
    main_sets: Mapping[str, str]  # the test set of each label that experiments take
    behaviour_sets: Sequence[str]  # those that are answered under ablations and by sparse vectors

    @property
    def unseen_sets(self) -> list[str]:
        """Behaviour sets beside the main ones: of a kind that no prompt behind the vectors is of."""
        return [name for name in self.behaviour_sets if name not in self.main_sets.values()]


def read_options(section: Mapping[str, Any]) -> Prompts:
    """Options of the config's section `prompts`, those of the configured source alone.

    Raises:
        ValueError: if the source has no entry, or a set that is named is no test set.
    """
    return Prompts(
        **{
            "mirror": None,
            "files": [],
            **section,
            "test_sizes": _of_source(section, "test_sizes", "its test sets"),
            "main_sets": _main_sets(section),
            "behaviour_sets": _behaviour_sets(section),
        }
    )


def _of_source(prompts: Mapping[str, Any], key: str, meaning: str) -> Mapping[str, Any]:
    """The entry of the configured source."""
    source = prompts["source"]
    if source not in prompts[key]:
        raise ValueError(f"config: prompts.{key} has no entry {source!r}, the prompts.source; give {meaning}")
    return prompts[key][source]


def _main_sets(prompts: Mapping[str, Any]) -> Mapping[str, str]:
    """The main test set of each label."""
    main = _of_source(prompts, "main_sets", "one test set of each label")
    known = list(_of_source(prompts, "test_sizes", "its test sets"))
    for label, name in main.items():
        if name not in known:
            raise ValueError(
                f"config: prompts.main_sets names {name!r} for {label} prompts, which is no test set"
                f"{nearest(name, known)}"
            )
    return main


def _behaviour_sets(prompts: Mapping[str, Any]) -> Sequence[str]:
    """Test sets that are answered under ablations and by sparse vectors."""
    source = prompts["source"]
    sets = prompts["behaviour_sets"].get(source) or list(_main_sets(prompts).values())
    known = list(_of_source(prompts, "test_sizes", "its test sets"))
    for name in sets:
        if name not in known:
            raise ValueError(
                f"config: prompts.behaviour_sets.{source} names {name!r}, which is no test set{nearest(name, known)}"
            )
    return sets
