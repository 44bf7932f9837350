"""What a study ran with: its config line by line, its packages, its machine."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

ABSENT = object()


@dataclass(frozen=True)
class ConfigLine:
    """One line of a config.

    Attributes:
        depth: how far it is indented.
        changed: whether its value is not that of the default.
        default: the default's value where it is another one; empty where the default has none.
    """

    depth: int
    key: str
    value: str
    changed: bool
    default: str


def config_lines(config: Mapping[str, Any], default: Any, *, depth: int = 0) -> list[ConfigLine]:
    """A merged config as lines of YAML, in the order of the default and each beside it."""
    lines = []
    order = [key for key in default if key in config] if isinstance(default, Mapping) else []
    for key in dict.fromkeys([*order, *config]):
        value = config[key]
        other = default.get(key, ABSENT) if isinstance(default, Mapping) else ABSENT
        if isinstance(value, Mapping) and value:
            lines.append(ConfigLine(depth, str(key), "", other is ABSENT, ""))
            lines += config_lines(value, other, depth=depth + 1)
        else:
            changed = value != other
            shown = _yaml(other) if changed and other is not ABSENT else ""
            lines.append(ConfigLine(depth, str(key), _yaml(value), changed, shown))
    return lines


def without_folders(value: Any) -> Any:
    """A value in which every absolute path is cut to its last part, as it says nothing on another machine."""
    if isinstance(value, Mapping):
        return {key: without_folders(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(each) for each in value]
    if isinstance(value, str) and re.match(r"(file://)?[/~]|[A-Za-z]:\\", value):
        return "…/" + re.split(r"[/\\]", value.rstrip("/"))[-1]
    return value


@dataclass(frozen=True)
class Package:
    """A package that the study asks for."""

    name: str
    pinned: str
    installed: str  # empty: it is not
    purpose: str

    @property
    def differs(self) -> bool:
        """Whether another version than the pinned one is installed; builds (+cpu) are no other version."""
        return self.installed.partition("+")[0] != self.pinned


def packages(requirements: str) -> list[Package]:
    """The packages of a list of requirements, `name==version  # what for`, with what is installed."""
    found = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)(?:[ \t]*#[ \t]*(.*))?$", requirements, re.MULTILINE)
    return [Package(name, pinned, _installed(name), purpose) for name, pinned, purpose in found]


def machine(*, n_gpus: int) -> list[tuple[str, str]]:
    """The machine in words: no name of it, of its user or of its folders."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("system", _system()),
        ("processor", processor()),
        ("cores", f"{usable} usable of {os.cpu_count()}"),
        ("memory", f"{_memory_bytes() / 2**30:.1f} GiB"),
        ("GPU", gpus(n_gpus)),
    ]


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """Model of the processor."""
    found = (
        re.search(r"^model name\s*: (.+)$", info.read_text("utf-8"), re.MULTILINE) if info.exists() else None
    )
    return found[1].strip() if found else platform.processor() or platform.machine()


def gpus(n: int, folder: Path = Path("/proc/driver/nvidia/gpus")) -> str:
    """Models of NVIDIA devices, as far as their driver names them."""
    texts = [file.read_text("utf-8") for file in sorted(folder.glob("*/information"))]
    names = [found[1].strip() for text in texts if (found := re.search(r"^Model:(.+)$", text, re.MULTILINE))]
    if not names:
        return f"{n} of unknown model" if n else "none"
    return ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):  # not Linux
        return f"{platform.system()} {platform.release()}, {platform.machine()}"
    return f"{name}, {platform.system()} {platform.release()}, {platform.machine()}"


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _yaml(value: Any) -> str:
    """A value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")
