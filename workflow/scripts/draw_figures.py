"""Make the tidy frames of a report section from the study's tables, and draw its figures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

from steering_study.artifacts import read_json
from steering_study.figures.ablations import plot_ablations, plot_scopes
from steering_study.figures.attack_success import plot_asr
from steering_study.figures.candidates import plot_candidates
from steering_study.figures.circuit_drawing import plot_circuits
from steering_study.figures.cosine import plot_cosine
from steering_study.figures.depth import plot_depth
from steering_study.figures.dose_response import plot_dose_response
from steering_study.figures.exact import plot_circuit_text, plot_interchange
from steering_study.figures.faithfulness import (
    plot_beside,
    plot_faithfulness,
    plot_patching_sets,
    plot_rankings,
)
from steering_study.figures.overlap import plot_exchange, plot_overlap
from steering_study.figures.side_effects import plot_side_effects
from steering_study.figures.sparsity import (
    plot_iou,
    plot_sparse_circuits,
    plot_sparse_kl,
    plot_sparsity,
    plot_variants,
)
from steering_study.figures.theme import figure_of_words, model_label, use_theme
from steering_study.figures.training import plot_training
from steering_study.figures.value_vectors import plot_attention_maps, plot_concepts, plot_explained
from steering_study.jobs import job
from steering_study.report.attention import attention_frames
from steering_study.report.circuits import circuits_frames
from steering_study.report.claims import claims_frames
from steering_study.report.frames import read_tables, write_frame
from steering_study.report.gallery import rows_where
from steering_study.report.sections import read_report
from steering_study.report.sparsity import sparsity_frames
from steering_study.report.steering import steering_frames
from steering_study.report.vectors import vectors_frames
from steering_study.report.writing import save_figure

if TYPE_CHECKING:
    snakemake: Any = None

# By the names of sections.yaml: what makes the frames of a section, and what draws a figure from its frames.
FRAMES: dict[str, Callable[..., dict[str, pd.DataFrame]]] = {
    "claims": claims_frames,
    "steering": steering_frames,
    "vectors": vectors_frames,
    "circuits": circuits_frames,
    "attention": attention_frames,
    "sparsity": sparsity_frames,
}
FIGURES: dict[str, Callable[..., Figure]] = {
    "candidates": plot_candidates,
    "dose_response": plot_dose_response,
    "asr": plot_asr,
    "depth": plot_depth,
    "cosine": plot_cosine,
    "training": plot_training,
    "side_effects": plot_side_effects,
    "faithfulness": plot_faithfulness,
    "rankings": plot_rankings,
    "patching_sets": plot_patching_sets,
    "exchange": plot_exchange,
    "beside": plot_beside,
    "circuit_text": plot_circuit_text,
    "overlap": plot_overlap,
    "drawings": plot_circuits,
    "exact": plot_interchange,
    "ablations": plot_ablations,
    "scopes": plot_scopes,
    "explained": plot_explained,
    "concepts": plot_concepts,
    "attention_maps": plot_attention_maps,
    "sparsity": plot_sparsity,
    "variants": plot_variants,
    "sparse_kl": plot_sparse_kl,
    "sparse_circuits": plot_sparse_circuits,
    "iou": plot_iou,
}


def main(
    section: str,
    *,
    sections: Path,
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
        cards: model.json of each model, in the order of `models`.
        tables: files of each table of the section, in the order of `models`.
        published: CSV files of published numbers, by the section's names for them.
        own: figures of one model alone: figure, model, method (empty: all of them), and paths.

    Raises:
        ValueError: if a file is asked for that the section does not have.
    """
    parts = read_report(sections).section(section)
    exhibits = {exhibit.name: exhibit for exhibit in parts.figures}
    made = FRAMES[section](
        read_tables({name: source.table for name, source in parts.tables.items()}, tables, models=models),
        cards={model: read_json(path) for model, path in zip(models, cards, strict=True)},
        published={name: pd.read_csv(path) for name, path in published.items()},
    )
    check_names(frames, made, section)
    check_names(figures, exhibits, section)
    for path in frames:
        write_frame(path, made[path.stem], frame=path.stem)
    use_theme()
    for name in dict.fromkeys(path.stem for path in figures):
        figure = FIGURES[name](*(made[frame] for frame in exhibits[name].frames))
        for path in figures:
            if path.stem == name:
                save_figure(figure, path)
    check_names([path for each in own for path in each["paths"]], exhibits, section)
    for each in own:
        where = {key: each[key] for key in ("model", "method") if each[key]}
        shown = [rows_where(made[frame], where, models=models) for frame in exhibits[each["figure"]].frames]
        # the first frame holds what the figure is about, the others what stands beside it
        figure = (
            FIGURES[each["figure"]](*shown)
            if len(shown[0])
            else figure_of_words(f"nothing to show of {model_label(each['model'])}")
        )
        for path in each["paths"]:
            save_figure(figure, path)


def check_names(paths: Sequence[Path], known: Mapping[str, object], section: str) -> None:
    """Refuse a file that the section does not have."""
    for path in paths:
        if path.stem not in known:
            raise ValueError(f"section {section!r} has no {path.name}; expected {', '.join(known)}")


if "snakemake" in globals():
    with job(snakemake):
        main(
            snakemake.params.section,
            sections=Path(snakemake.input.sections),
            models=snakemake.params.models,
            cards=[Path(path) for path in snakemake.input.cards],
            tables={name: [Path(path) for path in snakemake.input[name]] for name in snakemake.params.tables},
            published={name: Path(path) for name, path in snakemake.params.published.items()},
            frames=[Path(path) for path in snakemake.output.frames],
            figures=[Path(path) for path in snakemake.output.figures],
            own=[{**each, "paths": [Path(path) for path in each["paths"]]} for each in snakemake.params.own],
        )
