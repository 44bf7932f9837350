"""Each figure draws from three rows, and shows what they say."""

import numpy as np
import pandas as pd
from tests.drawing.drawn import drawn, words

from steering_study.drawing import theme
from steering_study.steering.figures.attack_success import plot_asr
from steering_study.steering.figures.dose_response import plot_dose_response
from steering_study.vectors.figures.candidates import plot_candidates

CANDIDATES = pd.DataFrame(
    [
        ("pocket-llama", 0, -1, "↵", 0.4, "I", False, False),
        ("pocket-llama", 1, -1, "↵", -0.9, "", True, True),
        ("pocket-llama", 2, -1, "↵", np.nan, "L K", False, False),
    ],
    columns=["model", "layer", "position", "token", "score", "fell", "kept", "selected"],
)
KEY = ["model", "method", "condition"]
CURVE = pd.DataFrame(
    [
        ("m", "dim", "induce", 0.5, 64, 0.2, 0.1, 0.3, 0.0, False),
        ("m", "dim", "induce", 1.0, 64, 0.9, 0.8, 0.95, 0.02, True),
        ("m", "dim", "bypass", -1.0, 60, 0.7, 0.6, 0.8, 0.1, True),
    ],
    columns=[*KEY, "coefficient", "n", "flip_rate", "flip_low", "flip_high", "degenerate_rate", "selected"],
)
ASR = pd.DataFrame(
    [
        ("pocket-llama", "none", "base", "harmless", 100, 0.99, 0.95, 1.0, 0.0),
        ("pocket-llama", "dim", "induce", "harmless", 100, 0.03, 0.01, 0.08, 0.01),
        ("pocket-llama", "dim", "bypass", "harmful", 98, 0.9, 0.83, 0.94, 0.02),
    ],
    columns=[*KEY, "dataset", "n", "asr", "asr_low", "asr_high", "degenerate_rate"],
)
PUBLISHED = pd.DataFrame(
    [
        ("pocket-llama", "llama-3.2-3b-instruct", "harmless", "dim", 0.03),
        ("pocket-llama", "llama-3.2-3b-instruct", "harmful", "dim", 0.85),
        ("pocket-llama", "llama-3.2-3b-instruct", "harmful", "po", 0.81),
    ],
    columns=["model", "published_model", "dataset", "method", "asr"],
)


def test_dose_response_has_a_panel_a_direction():
    axes = drawn(plot_dose_response(CURVE))
    assert [ax.get_title() or ax.get_title(loc="left") for ax in axes] == [
        "m, bypass, n = 60",
        "m, induce, n = 64",
    ]
    assert all(coefficient > 0 for coefficient in axes[1].lines[0].get_xdata())


def test_dose_response_circles_the_chosen_coefficient():
    ax = drawn(plot_dose_response(CURVE))[1]
    chosen = [
        line
        for line in ax.lines
        if line.get_markeredgecolor() == theme.SELECTED and line.get_marker() != "None"
    ]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in chosen] == [([1.0], [0.9])]


def test_published_values_have_the_mark_of_their_own():
    figure = plot_asr(ASR, PUBLISHED)
    ax = drawn(figure)[0]
    marks = [
        line
        for line in ax.lines
        if line.get_markerfacecolor() == "none" and line.get_markeredgecolor() == "black"
    ]
    # PO is published but not in this run, so it is not drawn
    assert sorted(float(line.get_ydata()[0]) for line in marks) == [0.03, 0.85]


def test_asr_without_published_values_draws():
    assert "published" not in words(plot_asr(ASR, PUBLISHED.iloc[:0]))


def test_asr_says_n_and_the_goal():
    labels = [label.get_text() for label in drawn(plot_asr(ASR, PUBLISHED))[0].get_xticklabels()]
    assert labels == ["harmless\ngoal: lower\nn = 100", "harmful\ngoal: higher\nn = 98"]


def test_a_method_has_one_colour_in_every_figure():
    dose = drawn(plot_dose_response(CURVE))[1].lines[0].get_color()
    key = plot_asr(ASR, PUBLISHED).legends[0]
    handles = dict(zip([text.get_text() for text in key.get_texts()], key.legend_handles, strict=True))
    assert handles["DIM, with interval"].get_color() == dose == theme.METHOD_COLOURS["dim"]


def test_figures_are_not_left_open_in_pyplot():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plot_candidates(CANDIDATES), plot_dose_response(CURVE), plot_asr(ASR, PUBLISHED)
    assert plt.get_fignums() == before
