"""What the report consists of: `workflow/report/report.yaml` and `sections/`, checked and typed, and where its files lie.

A section is one notebook, one file of that folder and one module `section` of its stage. Rules and scripts take every
path from here, so that the list of a section's tables, figures and captions stands in one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from steering_study.export.tables import TABLES
from steering_study.report.frames import FRAMES, OF_ALL_MODELS
from steering_study.vectors.options import MADE_WITHOUT_TRAINING

FORMATS = ("svg", "png", "pdf")
# linked: a table whose cells lead to files, and whose function is told how to get there from the page
Kind = Literal["figure", "table", "linked"]


@dataclass(frozen=True)
class TableSource:
    """A table that a section reads; `{model}`, `{method}` and `{learned}`, a learned method, stand for each of the study."""

    table: str  # a name of `export.tables`
    path: str
    of_learned: bool = False  # whether only learned methods need it

    def paths(self, models: Sequence[str], methods: Sequence[str]) -> list[str]:
        """The table's files, as many of each model, one model after the other."""
        if "{learned}" in self.path or self.of_learned:
            methods = [method for method in methods if method not in MADE_WITHOUT_TRAINING]
        paths = [
            self.path.format(model=model, method=method, learned=method)
            for model in models
            for method in methods
        ]
        return list(dict.fromkeys(paths))


@dataclass(frozen=True)
class Exhibit:
    """One figure or table of the page, and where its numbers come from.

    Attributes:
        name: file name of a figure, key of the function that renders it.
        caption: may name facts of its section in braces.
        paper: the published figure or table that it stands beside.
        frames: tidy frames that it shows, in the order of its function's arguments.
        tables: names of the section's tables that those frames come from.
        equation: what its numbers are, in one line.
        method: page and heading of the documentation that derive the equation.
        functions: functions that compute the numbers, with their modules.
    """

    name: str
    kind: Kind
    title: str
    caption: str
    paper: str
    frames: tuple[str, ...]
    tables: tuple[str, ...]
    equation: str
    method: str
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One section of the report; its notebook has its name."""

    name: str
    title: str
    question: str
    tables: Mapping[str, TableSource]
    published: Mapping[str, str]  # name -> CSV of published numbers
    exhibits: tuple[Exhibit, ...]

    @property
    def figures(self) -> tuple[Exhibit, ...]:
        """The exhibits that are drawn."""
        return tuple(exhibit for exhibit in self.exhibits if exhibit.kind == "figure")

    @property
    def frames(self) -> tuple[str, ...]:
        """Every tidy frame of the section, once."""
        return tuple(dict.fromkeys(frame for exhibit in self.exhibits for frame in exhibit.frames))


@dataclass(frozen=True)
class Report:
    """The whole page."""

    title: str
    question: str
    paper: str  # the publication whose numbers stand beside ours
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section:
        """Section of that name."""
        for section in self.sections:
            if section.name == name:
                return section
        known = ", ".join(section.name for section in self.sections)
        raise ValueError(f"section={name!r} is unknown; report.yaml has {known}")


def read_report(path: Path) -> Report:
    """Read and check `report.yaml`, and the file of each section that it names.

    Raises:
        ValueError: if a key is unknown or missing, or a name is used that is not defined.
    """
    value = yaml.safe_load(path.read_text("utf-8"))
    return read_record(
        Report, value, path.name, sections=lambda name, at: read_section(section_file(path, name))
    )


def section_file(report: Path, name: str) -> Path:
    """File of a section of a report."""
    return report.parent / "sections" / f"{name}.yaml"


def read_section(path: Path) -> Section:
    """Read and check the file of one section.

    Raises:
        ValueError: as `read_report`, or if there is no such file.
    """
    if not path.is_file():
        raise ValueError(
            f"report.yaml names the section {path.stem!r}, but there is no {path}; correct the name"
        )
    return _section({"name": path.stem, **yaml.safe_load(path.read_text("utf-8"))}, path.stem)


def section_inputs(section: Section, models: Sequence[str], methods: Sequence[str]) -> dict[str, list[str]]:
    """Files of each table of a section, by the table's name."""
    return {name: source.paths(models, methods) for name, source in section.tables.items()}


def figure_path(section: Section, figure: str, suffix: str) -> str:
    """Where a figure of a section is saved."""
    return f"reports/figures/{section.name}/{figure}.{suffix}"


def figure_paths(section: Section) -> list[str]:
    """Every figure file of a section."""
    return [figure_path(section, figure.name, suffix) for figure in section.figures for suffix in FORMATS]


def frame_path(section: Section, frame: str) -> str:
    """Where a tidy frame of a section is saved."""
    return f"reports/tables/{section.name}/{frame}.csv"


def frame_paths(section: Section) -> list[str]:
    """Every tidy frame of a section."""
    return [frame_path(section, frame) for frame in section.frames]


def notebook_path(section: Section, suffix: str) -> str:
    """Where the executed notebook of a section is saved, as `ipynb` or `html`."""
    return f"reports/notebooks/{section.name}.{suffix}"


def notebook_parameters(section: Section) -> dict[str, str]:
    """Parameters of a section's notebook: the path of each of its frames."""
    return {frame: frame_path(section, frame) for frame in section.frames}


def _section(value: Any, at: str) -> Section:
    section = read_record(
        Section,
        value,
        at,
        tables=lambda tables, where: {
            name: read_record(TableSource, each, f"{where}.{name}") for name, each in tables.items()
        },
        exhibits=lambda each, where: read_record(
            Exhibit, each, where, kind=lambda kind, at: _known(kind, get_args(Kind), at)
        ),
    )
    for name, source in section.tables.items():
        _known(source.table, TABLES, f"{at}.tables.{name}.table")
        if ("{model}" in source.path) == (source.table in OF_ALL_MODELS):
            raise ValueError(
                f"{at}.tables.{name}.path is {source.path!r}, expected {{model}} in it, or a table of all models"
            )
    for exhibit in section.exhibits:
        where = f"{at}.exhibits.{exhibit.name}"
        for frame in exhibit.frames:
            _known(frame, FRAMES, f"{where}.frames")
        for table in exhibit.tables:
            _known(table, section.tables, f"{where}.tables")
    return section


def read_record(cls: Any, value: Any, at: str, **readers: Any) -> Any:
    """A dataclass from a mapping with its fields and no other keys; lists become tuples, `readers` make nested parts.

    Raises:
        ValueError: if a key is unknown, or one without a default is missing.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{at} is {value!r}, expected a mapping")
    expected = [field.name for field in fields(cls)]
    needed = {field.name for field in fields(cls) if field.default is field.default_factory is MISSING}
    missing, extra = sorted(needed - set(value)), sorted(set(value) - set(expected))
    if missing or extra:
        raise ValueError(
            f"{at}: missing keys {missing}, unknown keys {extra}; expected {', '.join(expected)}"
        )
    parts = {}
    for name, item in value.items():
        read = readers.get(name)
        if isinstance(item, list):
            item = tuple(read(each, f"{at}.{name}[{i}]") if read else each for i, each in enumerate(item))
        elif read:
            item = read(item, f"{at}.{name}")
        parts[name] = item
    return cls(**parts)


def _known(name: str, known: Any, at: str) -> str:
    if name not in known:
        raise ValueError(f"{at} is {name!r}, expected one of {', '.join(known)}")
    return name
