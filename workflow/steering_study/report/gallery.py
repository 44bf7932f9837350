"""The paper's figures and tables by number: `workflow/report/gallery.yaml`, checked and typed, and where its figures lie.

Every figure that stands for a number is drawn once more for each model by itself, as the paper shows its own two apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from steering_study.drawing.words import listing
from steering_study.report.sections import FORMATS, Exhibit, Report, Section, read_record

IN_PAPER = {"figures": 20, "tables": 11}  # how many it has, numbered from 1


@dataclass(frozen=True)
class Part:
    """One exhibit that stands for a number, or some rows of it.

    Attributes:
        exhibit: section and name, `circuits.overlap`.
        where: value that a column of its frames has to have; frames without the column stay whole.
        by_method: whether each method of the circuits has a figure of its own.
    """

    exhibit: str
    where: Mapping[str, str] = field(default_factory=dict)
    by_method: bool = False


@dataclass(frozen=True)
class Entry:
    """What stands for one or several numbers of the paper; the attributes are explained in gallery.yaml."""

    title: str
    shows: str
    parts: tuple[Part, ...]
    figures: tuple[int, ...] = ()
    tables: tuple[int, ...] = ()
    published: tuple[str, ...] = ()
    differs: str = ""

    @property
    def name(self) -> str:
        """The numbers in words: Figure 1; Figures 3 and 9; Figures 13 to 18."""
        kind, numbers = ("Figure", self.figures) if self.figures else ("Table", self.tables)
        words = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 2 else listing(map(str, numbers))
        return f"{kind}{'s' if len(numbers) > 1 else ''} {words}"

    @property
    def anchors(self) -> list[str]:
        """An id of the page for each number: figure-3, figure-9."""
        return [f"figure-{n}" for n in self.figures] + [f"table-{n}" for n in self.tables]


@dataclass(frozen=True)
class Gallery:
    """All entries, in the order of the page."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class OwnFigure:
    """A figure of one model alone; `method` is empty where it shows all of them."""

    section: str
    figure: str
    model: str
    method: str

    def path(self, suffix: str) -> str:
        """Where it is saved."""
        return "/".join(
            filter(
                None, ("reports/figures", self.section, self.model, self.method, f"{self.figure}.{suffix}")
            )
        )

    @property
    def paths(self) -> list[str]:
        """All its files."""
        return [self.path(suffix) for suffix in FORMATS]


def read_gallery(path: Path, report: Report) -> Gallery:
    """Read and check `gallery.yaml`.

    Raises:
        ValueError: if a key is unknown or missing, an exhibit does not exist, or a number is missing or there twice.
    """
    value = yaml.safe_load(path.read_text("utf-8"))
    gallery = read_record(Gallery, value, path.name, entries=_entry)
    for kind, n in IN_PAPER.items():
        found = sorted(number for entry in gallery.entries for number in getattr(entry, kind))
        if found != list(range(1, n + 1)):
            raise ValueError(f"{path.name} has {kind} {found}, expected each of 1 to {n} once")
    for entry, part in parts_of(gallery):
        _, exhibit = exhibit_of(part, report)
        if part.by_method and exhibit.kind != "figure":
            raise ValueError(f"{entry.name} draws {part.exhibit} by method, which is no figure")
    return gallery


def parts_of(gallery: Gallery) -> Iterator[tuple[Entry, Part]]:
    """Every part with its entry."""
    return ((entry, part) for entry in gallery.entries for part in entry.parts)


def exhibit_of(part: Part, report: Report) -> tuple[Section, Exhibit]:
    """Section and exhibit that a part names.

    Raises:
        ValueError: if the report has none of that name.
    """
    name, _, exhibit = part.exhibit.partition(".")
    section = report.section(name)
    for each in section.exhibits:
        if each.name == exhibit:
            return section, each
    known = ", ".join(each.name for each in section.exhibits)
    raise ValueError(f"gallery.yaml names {part.exhibit!r}; section {name!r} has {known}")


def own_figures(
    gallery: Gallery, report: Report, *, models: Sequence[str], methods: Sequence[str]
) -> list[OwnFigure]:
    """Every figure of one model alone, once.

    Args:
        methods: those with circuits.
    """
    figures = [
        figure
        for _, part in parts_of(gallery)
        for figure in figures_of(part, report, models=models, methods=methods)
    ]
    return list(dict.fromkeys(figures))


def figures_of(
    part: Part, report: Report, *, models: Sequence[str], methods: Sequence[str]
) -> list[OwnFigure]:
    """Figures of one part, a model after the other; none where it is a table."""
    section, exhibit = exhibit_of(part, report)
    if exhibit.kind != "figure":
        return []
    each_method = methods if part.by_method else [""]
    return [
        OwnFigure(section.name, exhibit.name, model, method) for model in models for method in each_method
    ]


def rows_where(frame: pd.DataFrame, where: Mapping[str, str], *, models: Sequence[str]) -> pd.DataFrame:
    """Rows whose columns have these values; a column that the frame does not have decides nothing.

    Args:
        models: those of the study; a frame that names none of them holds published numbers, of every model.
    """
    for column, value in where.items():
        is_published = column == "model" and column in frame and not frame["model"].isin(models).any()
        if column in frame and not is_published:
            frame = frame.loc[frame[column] == value]
    return frame


def figures_page(gallery: Gallery, report: Report, rule_of: Mapping[str, str]) -> str:
    """docs/report.md: which table, rule and functions each number of the paper comes from.

    Args:
        rule_of: the rule that makes a file, by its path in the section's file.
    """
    lines = []
    for entry in gallery.entries:
        found = [exhibit_of(part, report) for part in entry.parts]
        paths = _distinct(section.tables[name].path for section, exhibit in found for name in exhibit.tables)
        functions = _distinct(name for _, exhibit in found for name in exhibit.functions)
        shown = [_shown(section, exhibit) for section, exhibit in found]
        cells = [
            f"**{entry.name}** {entry.title}",
            _stack(shown),
            _stack(f"`{path}`" for path in paths),
            _stack(f"`{rule}`" for rule in _distinct(rule_of[path] for path in paths)),
            _stack(f"`{name.removeprefix('steering_study.')}`" for name in functions),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return _PAGE.format(rows="\n".join(lines))


_PAGE = """\
# How each figure and table of the paper is made

`reports/gallery.html` shows all of them by the paper's numbers, each model by itself; `reports/texts.html` has the texts that they rest on. This page says what they come from. It is made from
`workflow/report/gallery.yaml` and `sections/`; a test compares it with them (`UPDATE_DOCS=1 pytest tests/workflow/test_report.py` writes it anew).

```sh
snakemake figures --cores all                                        # every figure, from tables that are there, in under a minute
snakemake reports/figures/circuits/faithfulness.svg --cores all      # those of one section
snakemake results/pocket-gemma/faithfulness.parquet --cores all      # the table of one model, and what it needs
snakemake reports/gallery.html --cores all                           # the gallery
```

Figures lie in `reports/figures/{{section}}/`, as SVG, PNG and PDF, all models together; in `{{section}}/{{model}}/` each model by itself. The numbers that a
figure or table shows lie beside them as CSV, in `reports/tables/{{section}}/`. Published numbers are in `resources/paper/`. Functions are those of the package
`steering_study`; their equations stand on the page of each stage ([README.md](README.md)). Every exhibit has its caption in `workflow/report/sections/`.

The pages are tested in a headless Chromium: no error in the console, no missing image, no overflow at 1280 and 390 pixels, links that lead
somewhere, tables that sort. `make test` does so with made-up results, `make check-pages` with those of your study. Without a Chromium (on Debian
`apt-get install chromium`, which `.ci/run` does by itself) these tests are skipped and say so.

| paper | here: section, exhibit | tables | made by rule | computed by |
|---|---|---|---|---|
{rows}
"""


def _shown(section: Section, exhibit: Exhibit) -> str:
    kind = "figure" if exhibit.kind == "figure" else "table"
    return f"{section.name}, {kind} `{exhibit.name}`"


def _stack(words: Any) -> str:
    return "<br>".join(words)


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _entry(value: Any, at: str) -> Entry:
    entry = read_record(Entry, value, at, parts=lambda each, where: read_record(Part, each, where))
    if bool(entry.figures) == bool(entry.tables):
        raise ValueError(f"{at} has figures {entry.figures} and tables {entry.tables}, expected either")
    return entry
