"""Make the tidy frames of a report section from the study's tables, and draw its figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.drawing.theme import figure_of_words, model_label, use_theme
from steering_study.drawing.writing import save_figure
from steering_study.export.tables import TABLES
from steering_study.report.exhibits import FIGURES, MAKERS
from steering_study.report.frames import read_tables, write_frame
from steering_study.report.gallery import rows_where
from steering_study.report.sections import read_section
from steering_study.store.artifacts import read_json
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    path: Path,
    *,
    models: Sequence[str],
    cards: Sequence[Path],
    tables: Mapping[str, Sequence[Path]],
    published: Mapping[str, Path],
    frames: Sequence[Path],
    figures: Sequence[Path],
    own: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write every file of `frames` (`<frame>.csv`) and of `figures` (`<figure>.svg`, .png or .pdf).

    Args:
        path: file of the section.
        cards: model.json of each model, in the order of `models`.
        tables: files of each table of the section, in the order of `models`.
        published: CSV files of published numbers, by the section's names for them.
        own: figures of one model alone: figure, model, method (empty: all of them), and paths.

    Raises:
        ValueError: if a file is asked for that the section does not have.
    """
    section = read_section(path)
    exhibits = {exhibit.name: exhibit for exhibit in section.figures}
    made = MAKERS[section.name](
        read_tables(
            {name: TABLES[source.table] for name, source in section.tables.items()}, tables, models=models
        ),
        cards={model: read_json(path) for model, path in zip(models, cards, strict=True)},
        published={name: pd.read_csv(path) for name, path in published.items()},
    )
    check_names(frames, made, section.name)
    check_names(figures, exhibits, section.name)
    for path in frames:
        write_frame(path, made[path.stem], frame=path.stem)
    use_theme()
    for name in dict.fromkeys(path.stem for path in figures):
        figure = FIGURES[name](*(made[frame] for frame in exhibits[name].frames))
        for path in figures:
            if path.stem == name:
                save_figure(figure, path)
    check_names([path for own_figure in own for path in own_figure["paths"]], exhibits, section.name)
    for own_figure in own:
        where = {key: own_figure[key] for key in ("model", "method") if own_figure[key]}
        shown = [
            rows_where(made[frame], where, models=models) for frame in exhibits[own_figure["figure"]].frames
        ]
        # the first frame holds what the figure is about, the others what stands beside it
        figure = (
            FIGURES[own_figure["figure"]](*shown)
            if len(shown[0])
            else figure_of_words(f"nothing to show of {model_label(own_figure['model'])}")
        )
        for path in own_figure["paths"]:
            save_figure(figure, path)


def check_names(paths: Sequence[Path], known: Mapping[str, object], section: str) -> None:
    """Refuse a file that the section does not have."""
    for path in paths:
        if path.stem not in known:
            raise ValueError(f"section {section!r} has no {path.name}; expected {', '.join(known)}")


if "snakemake" in globals():
    with job(snakemake):
        main(
            Path(snakemake.input.section),
            models=snakemake.params.models,
            cards=[Path(path) for path in snakemake.input.cards],
            tables={name: [Path(path) for path in snakemake.input[name]] for name in snakemake.params.tables},
            published={name: Path(path) for name, path in snakemake.params.published.items()},
            frames=[Path(path) for path in snakemake.output.frames],
            figures=[Path(path) for path in snakemake.output.figures],
            own=[{**each, "paths": [Path(path) for path in each["paths"]]} for each in snakemake.params.own],
        )
