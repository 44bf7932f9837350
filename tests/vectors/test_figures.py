"""Figures and tables of the section on vectors draw from frames of a few rows."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from tests.drawing.drawn import drawn, words
from tests.drawing.rows import Rows

from steering_study.vectors.figures.candidates import plot_candidates
from steering_study.vectors.figures.tables import table_grid
from steering_study.vectors.section import search_grid

CANDIDATES = pd.DataFrame(
    [
        ("pocket-llama", 0, -1, "↵", 0.4, "I", False, False),
        ("pocket-llama", 1, -1, "↵", -0.9, "", True, True),
        ("pocket-llama", 2, -1, "↵", np.nan, "L K", False, False),
    ],
    columns=["model", "layer", "position", "token", "score", "fell", "kept", "selected"],
)


def test_candidates_mark_the_selected_and_the_fallen():
    figure = plot_candidates(CANDIDATES, title="Candidates")
    ax = drawn(figure)[0]
    hatched = [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert [patch.get_x() + 0.5 for patch in hatched] == [0, 2]
    framed = [
        patch
        for patch in ax.patches
        if patch.get_edgecolor()[:3] == pytest.approx((0.757, 0.071, 0.122), abs=0.01)
    ]
    assert [round(patch.get_x() + 0.44) for patch in framed] == [1]
    assert {"0.40  I", "−0.90", "no score  L K", "Candidates"} <= {
        text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text"))
    }


def test_the_key_of_candidates_fits_with_every_letter():
    every = CANDIDATES.assign(fell=["–", "", "L I K ?"])
    figure = plot_candidates(every)
    drawn(figure)
    assert "its KL was not needed" in words(figure)
    assert "not finite" in words(figure)


def test_candidates_of_several_models_get_a_panel_each():
    both = pd.concat([CANDIDATES, CANDIDATES.assign(model="pocket-gemma")])
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in drawn(plot_candidates(both))]
    assert titles[:2] == ["pocket-llama", "pocket-gemma"]


def test_candidates_of_a_deep_model_drop_their_numbers():
    deep = pd.concat([CANDIDATES.assign(layer=CANDIDATES["layer"] + 3 * i, selected=False) for i in range(9)])
    assert "0.40" not in words(plot_candidates(deep))


def test_the_grid_stands_beside_the_published_one():
    trials = pd.DataFrame(
        [
            ("po", 0.04, 0.02, False),
            ("po", 0.1, 0.02, True),
            ("ntp", 0.04, float("nan"), True),
        ],
        columns=["method", "learning_rate", "phi", "selected"],
    ).assign(model="pocket-llama", batch_size=12, epochs=4, seed=42)
    printed = pd.DataFrame(
        {
            "method": ["po"] * 2 + ["ntp"],
            "setting": ["phi", "phi", "batch_size"],
            "tried": [2e-2, 1e-5, 6.0],
        }
    )
    table = Rows(table_grid(search_grid(trials), printed)).rows
    rows = [[cell.rstrip("|") for cell in row] for row in table if len(row) > 1]
    assert rows == [
        ["setting", "tried here", "pocket-llama|selected", "published"],
        ["learning rate", "0.04", "0.04", "–"],
        ["batch", "12", "12", "6"],
        ["epochs", "4", "4", "–"],
        ["seed", "42", "42", "–"],
        ["learning rate", "0.04, 0.1", "0.1", "–"],
        ["batch", "12", "12", "–"],
        ["epochs", "4", "4", "–"],
        ["seed", "42", "42", "–"],
        ["φ", "0.02", "0.02", "0.00001, 0.02"],
    ]
