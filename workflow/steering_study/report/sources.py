"""The code behind a number, as text: the function that computes it and the rule that runs it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path

from steering_study.report.sections import Report
from steering_study.store.artifacts import rule_of

WORKFLOW = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """A piece of a file."""

    name: str
    path: Path
    line: int
    text: str


def module_path(function: str) -> Path:
    """File of a function named with its module: `steering_study.stats.wilson_interval`."""
    *module, _ = function.split(".")
    return WORKFLOW.joinpath(*module).with_suffix(".py")


def source_paths(report: Report) -> list[str]:
    """Files whose functions the page shows, from the working directory."""
    names = [name for section in report.sections for each in section.exhibits for name in each.functions]
    return sorted({relpath(module_path(name)) for name in names})


def function_source(function: str) -> Source:
    """Text of a function or class.

    Raises:
        ValueError: if there is no such file, or it defines nothing of that name at its top level.
    """
    path, name = module_path(function), function.rpartition(".")[2]
    if not path.is_file():
        raise ValueError(f"a section names {function!r}, but there is no {path.name} there; correct the name")
    text = path.read_text("utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return Source(function, path, node.lineno, ast.get_source_segment(text, node) or "")
    raise ValueError(f"a section names {function!r}, which {path.name} does not define; correct the name")


def rule_files(files: Iterable[Path]) -> dict[str, Path]:
    """The file of each rule, by the rule's name."""
    return {
        name: path
        for path in files
        for name in re.findall(r"^rule (\w+):\s*$", path.read_text("utf-8"), re.MULTILINE)
    }


def rule_source(rule: str, files: Iterable[Path]) -> Source:
    """Text of a rule.

    Raises:
        ValueError: if no file has it.
    """
    opening = re.compile(rf"rule {re.escape(rule)}:\s*$")
    for path in files:
        lines = path.read_text("utf-8").splitlines()
        for start, line in enumerate(lines):
            if opening.match(line):
                rest = lines[start + 1 :]
                length = next((i for i, each in enumerate(rest) if each and not each[0].isspace()), len(rest))
                return Source(rule, path, start + 1, "\n".join(lines[start : start + 1 + length]).rstrip())
    raise ValueError(
        f"a table says that rule {rule!r} made it, which workflow/rules does not have; delete results/ and run again"
    )


def makers(paths: Iterable[Path]) -> list[str]:
    """Rules that made the tables, by what the tables themselves say.

    Raises:
        ValueError: if one does not say it.
    """
    return list(dict.fromkeys(map(rule_of, paths)))
