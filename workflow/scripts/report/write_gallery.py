"""Write the gallery: the paper's figures and tables by number, each model by itself, and where each comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from steering_study.drawing.theme import method_label, model_label
from steering_study.drawing.writing import Link, relative, write_page
from steering_study.report.exhibits import TABLES
from steering_study.report.frames import read_frame
from steering_study.report.gallery import (
    IN_PAPER,
    Entry,
    OwnFigure,
    Part,
    exhibit_of,
    figures_of,
    read_gallery,
    rows_where,
)
from steering_study.report.sections import FORMATS, Report, frame_path, read_report, section_inputs
from steering_study.report.sources import makers, rule_files
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


@dataclass(frozen=True)
class Shot:
    """A figure of one model, ready for the page."""

    label: str
    image: str
    files: list[Link]


@dataclass(frozen=True)
class ShownPart:
    """A part of an entry, ready for the page: figures of each model, or a table."""

    title: str
    section: Link
    shots: list[Shot]
    table: Markup
    tables: list[Link]
    rules: list[Link]
    numbers: list[Link]
    method: Link


@dataclass(frozen=True)
class ShownEntry:
    """An entry, ready for the page."""

    entry: Entry
    published: list[Link]
    parts: list[ShownPart]


def main(
    *,
    sections: Path,
    gallery: Path,
    template: Path,
    models: Sequence[str],
    methods: Sequence[str],
    circuit_methods: Sequence[str],
    rules: Sequence[Path],
    root: Path,
    out: Path,
) -> None:
    """Write the page.

    Args:
        circuit_methods: methods that have circuits, and so drawings.
        rules: files with the rules that made the tables.
        root: folder that the paths of `steering_study.report.sections` start from.
    """
    report = read_report(sections)
    link = partial(relative, folder=out.parent)
    files = rule_files(rules)

    def show(part: Part) -> ShownPart:
        section, exhibit = exhibit_of(part, report)
        inputs = section_inputs(section, models, methods)
        paths = [root / path for name in exhibit.tables for path in inputs[name]]
        page, _, heading = exhibit.method.partition("#")
        return ShownPart(
            title=exhibit.title,
            section=Link(section.title, f"index.html#{section.name}-{exhibit.name}"),
            shots=[
                show_figure(figure, root, link)
                for figure in figures_of(part, report, models=models, methods=circuit_methods)
            ],
            table=Markup() if exhibit.kind == "figure" else show_table(part, report, root, models),
            tables=[Link(path.relative_to(root).as_posix(), link(path)) for path in paths],
            rules=[Link(name, link(files[name])) for name in makers(paths)],
            numbers=[
                Link(f"{frame}.csv", link(root / frame_path(section, frame))) for frame in exhibit.frames
            ],
            method=Link(f"{page}, {heading.replace('-', ' ')}", f"{link(root / page)}#{heading}"),
        )

    listed = read_gallery(gallery, report).entries
    entries = [
        ShownEntry(
            entry,
            published=[Link(Path(path).name, link(root / path)) for path in entry.published],
            parts=[show(part) for part in entry.parts],
        )
        for entry in listed
    ]
    write_page(
        template,
        out,
        {
            "paper": report.paper,
            "entries": entries,
            "numbers": {kind: places(listed, kind) for kind in IN_PAPER},
            "docs": link(root / "docs/report.md"),
        },
    )


def places(entries: Sequence[Entry], kind: str) -> list[tuple[int, str]]:
    """Every number of a kind and where it stands on the page."""
    found = [each for entry in entries for each in zip(getattr(entry, kind), entry.anchors, strict=False)]
    return sorted(found)


def show_figure(figure: OwnFigure, root: Path, link: Callable[[Path], str]) -> Shot:
    """Words and files of a figure."""
    words = [model_label(figure.model), *([method_label(figure.method)] if figure.method else [])]
    files = [Link(suffix.upper(), link(root / figure.path(suffix))) for suffix in FORMATS]
    return Shot(", ".join(words), link(root / figure.path("png")), files)


def show_table(part: Part, report: Report, root: Path, models: Sequence[str]) -> Markup:
    """The rows of a table that belong to a part."""
    section, exhibit = exhibit_of(part, report)
    frames = (read_frame(root / frame_path(section, frame), frame=frame) for frame in exhibit.frames)
    return TABLES[exhibit.name](*(rows_where(frame, part.where, models=models) for frame in frames))


if "snakemake" in globals():
    with job(snakemake):
        main(
            sections=Path(snakemake.input.sections),
            gallery=Path(snakemake.input.gallery),
            template=Path(snakemake.input.template),
            models=snakemake.params.models,
            methods=snakemake.params.methods,
            circuit_methods=snakemake.params.circuit_methods,
            rules=[Path(path) for path in snakemake.input.rules],
            root=Path(),
            out=Path(snakemake.output[0]),
        )
