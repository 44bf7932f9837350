"""The files and words that a run's config is made of, before they are one: nothing of them may be lost in silence.

Snakemake takes the last of two equal options, the last of two equal keys, and every value inside `--config 'a={b: 1}'`
for text. Here the first two are refused, and the third is read as YAML.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

# Options that Snakemake takes once, by their spellings
_ONCE = {"--configfile": ("--configfile", "--configfiles"), "--config": ("--config", "-C")}


def check_options(arguments: Sequence[str]) -> None:
    """Refuse a command line of Snakemake that names config files, or config values, in two places.

    Raises:
        ValueError: naming the option, what is lost and how to write it.
    """
    for name, spellings in _ONCE.items():
        places = [i for i, word in enumerate(arguments) if word.split("=")[0] in spellings]
        if len(places) > 1:
            groups = [_operands(arguments, i) for i in places]
            lost = " ".join(word for group in groups[:-1] for word in group)
            together = " ".join(word for group in groups for word in group)
            raise ValueError(
                f"{name} is there {len(places)} times, and Snakemake would take the last and lose {lost}; give them "
                f"together: {name} {together}"
            )


def check_keys(path: Path) -> None:
    """Refuse a config file in which a key is there twice.

    Raises:
        ValueError: naming file, line and key; a file that is no YAML is Snakemake's to refuse.
    """
    try:
        root = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return
    _refuse_twice(root, str(path))


def config_words(entries: Sequence[str]) -> dict[str, Any]:
    """The entries `key=value` of --config whose value is a mapping or a list, as YAML reads them.

    Raises:
        ValueError: if a value has a key twice.
    """
    found: dict[str, Any] = {}
    for entry in entries:
        key, _, text = entry.partition("=")
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError:
            continue
        _refuse_twice(root, f"--config {key}")
        value = yaml.safe_load(text)
        if isinstance(value, dict | list):
            found[key] = value
    return found


def describe_config(files: Sequence[Path], entries: Sequence[str]) -> str:
    """The line that says what the config is made of, later parts over earlier ones."""
    names = [os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path) for path in files]
    return "Config: " + ", then ".join([*names, *([f"--config {' '.join(entries)}"] if entries else [])])


def _operands(arguments: Sequence[str], place: int) -> list[str]:
    """What belongs to the option at a place."""
    _, is_joined, value = arguments[place].partition("=")
    if is_joined:
        return [value]
    after = arguments[place + 1 :]
    end = next((i for i, word in enumerate(after) if re.match(r"-{1,2}[A-Za-z]", word)), len(after))
    return list(after[:end])


def _refuse_twice(root: yaml.Node | None, where: str) -> None:
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
