"""Names: the nearest one to a slip, and files by the name of their method."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


def nearest(name: str, known: Iterable[object]) -> str:
    """The end of a line about a name that is not known: the nearest one that is, or all of them; nothing where none is."""
    names = [str(each) for each in known]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else f", known: {', '.join(names)}" if names else ""


def by_method(methods: Sequence[str], paths: Sequence[str]) -> dict[str, Path]:
    """A rule's files, one a method."""
    return {name: Path(path) for name, path in zip(methods, paths, strict=True)}
