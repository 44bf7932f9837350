"""The files and words that a run's config is made of, before they are one: nothing of them may be lost in silence.

Snakemake takes the last of two equal options, the last of two equal keys or values, and every value inside
`--config 'a={b: 1}'` for text. Here the first two are refused, and the third is read as YAML.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from steering_study.store.yaml_files import refuse_twice

# Options that Snakemake takes once, by their spellings: with what belongs to them behind, after a "=", or joined to -C, which
# may follow other short options that take nothing
_ONCE = {
    "--configfile": re.compile(r"--configfiles?(?:=(.*))?"),
    "--config": re.compile(r"(?:--config|-[nFfkpqrR]*C)(?:=(.*))?|-[nFfkpqrR]*C(.+)"),
}


def check_options(arguments: Sequence[str]) -> None:
    """Refuse a command line of Snakemake that names config files, or config values, in two places.

    Raises:
        ValueError: naming the option, what is lost and how to write it.
    """
    for name, spelling in _ONCE.items():
        found = [(i, match) for i, word in enumerate(arguments) if (match := spelling.fullmatch(word))]
        if len(found) > 1:
            places = [i for i, _ in found]
            groups = [_operands(arguments, i, *filter(None, match.groups())) for i, match in found]
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
    refuse_twice(root, str(path))


def config_words(entries: Sequence[str]) -> dict[str, Any]:
    """The entries `key=value` of --config whose value is a mapping or a list, as YAML reads them; maps of one key as one.

    Raises:
        ValueError: if a key is given two values.
    """
    found: dict[str, Any] = {}
    given: set[tuple[str, ...]] = set()
    for entry in entries:
        key, _, text = entry.partition("=")
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            root, value = None, text
        refuse_twice(root, f"--config {key}")
        for leaf in _leaves(value, key):
            if leaf in given:
                raise ValueError(
                    f"--config gives {'.'.join(leaf)} two values, and only the last would count; give it once"
                )
            given.add(leaf)
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            _merge(found[key], value)
        elif isinstance(value, dict | list):
            found[key] = value
    return found


def _leaves(value: Any, *path: str) -> list[tuple[str, ...]]:
    """The keys, from the top, of everything in a value that is no map."""
    if not isinstance(value, dict):
        return [path]
    return [leaf for key, each in value.items() for leaf in _leaves(each, *path, str(key))]


def _merge(into: dict[Any, Any], value: dict[Any, Any]) -> None:
    for key, each in value.items():
        if isinstance(each, dict) and isinstance(into.get(key), dict):
            _merge(into[key], each)
        else:
            into[key] = each


def describe_config(files: Sequence[Path], entries: Sequence[str]) -> str:
    """The line that says what the config is made of, later parts over earlier ones."""
    names = [os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path) for path in files]
    return "Config: " + ", then ".join([*names, *([f"--config {' '.join(entries)}"] if entries else [])])


def _operands(arguments: Sequence[str], place: int, *joined: str) -> list[str]:
    """What belongs to the option at a place: what is joined to it, or the words behind it."""
    if joined:
        return list(joined)
    after = arguments[place + 1 :]
    end = next((i for i, word in enumerate(after) if re.match(r"-{1,2}[A-Za-z]", word)), len(after))
    return list(after[:end])
