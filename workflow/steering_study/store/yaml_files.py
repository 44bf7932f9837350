"""YAML in which no key is lost: the last of two equal ones would count, and nobody be told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        ValueError: if it is no YAML, or a key stands in one map twice.
    """
    text = path.read_text("utf-8")
    try:
        refuse_twice(yaml.compose(text, Loader=yaml.SafeLoader), str(path))
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML ({' '.join(str(error).split())}); repair it") from error


def refuse_twice(root: yaml.Node | None, where: str) -> None:
    """Refuse a document in which a key stands in one map twice.

    Raises:
        ValueError: naming line and key.
    """
    for line, key in _repeated_keys(root):
        raise ValueError(
            f"{where}, line {line}: key {key!r} is there twice in one mapping, and only the last would count; put them together"
        )


def _repeated_keys(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Line and name of each key that its mapping has had before."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                name = (key.tag, key.value)
                if name in seen:
                    yield key.start_mark.line + 1, key.value
                seen.add(name)
            yield from _repeated_keys(value)
