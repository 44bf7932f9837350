"""Figures are saved as the same bytes each time, and all files of one show one layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from steering_study.drawing.theme import figure_of_words, use_theme
from steering_study.drawing.writing import METADATA, save_figure


def drawn() -> Figure:
    use_theme()
    figure = Figure(figsize=(3, 2), layout="constrained")
    figure.subplots().set_ylabel("a label that needs room")
    return figure


@pytest.mark.parametrize("suffix", METADATA)
def test_a_second_run_writes_the_same_bytes(tmp_path: Path, suffix: str):
    files = [tmp_path / f"{name}.{suffix}" for name in ("one", "two")]
    for path in files:
        save_figure(drawn(), path)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_first_file_settles_the_layout(tmp_path: Path):
    figure = drawn()
    save_figure(figure, tmp_path / "figure.svg")
    settled = figure.axes[0].get_position()
    assert settled.x0 > Figure(figsize=(3, 2)).subplots().get_position().x0  # room for the label
    figure.axes[0].set_ylabel("\n" * 9)
    save_figure(figure, tmp_path / "figure.png")
    assert figure.axes[0].get_position().bounds == settled.bounds


@pytest.mark.filterwarnings("error")
def test_a_figure_of_words_alone_is_saved_without_a_warning(tmp_path):
    save_figure(figure_of_words("nothing to show"), tmp_path / "words.png")
    assert (tmp_path / "words.png").stat().st_size > 0
