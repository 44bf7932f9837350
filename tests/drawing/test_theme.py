from itertools import combinations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from steering_study.drawing import theme


def lightness(colour: str) -> float:
    """CIE L* of a colour: what is left of it in greyscale."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16


def test_methods_stay_apart_in_greyscale():
    values = [lightness(colour) for colour in theme.METHOD_COLOURS.values()]
    assert min(abs(a - b) for a, b in combinations(values, 2)) > 8


def test_every_method_has_a_colour_and_a_label():
    assert set(theme.METHOD_COLOURS) == set(theme.METHOD_LABELS)
    assert set(theme.METHOD_COLOURS) == {"none", "dim", "ntp", "po", "random", "shuffled"}


def test_method_of_a_user_has_a_spare_colour_that_stays():
    assert theme.colour_of("margin") == theme.colour_of("margin")
    assert theme.colour_of("margin") in theme.SPARE_COLOURS
    assert not set(theme.SPARE_COLOURS) & set(theme.METHOD_COLOURS.values())


def test_no_model_has_the_mark_of_published_values():
    models = ["pocket-gemma", *(f"model-{i}" for i in range(12))]
    markers = theme.markers_of(models)
    assert markers["pocket-gemma"] == theme.MODEL_MARKERS["pocket-gemma"]
    assert not set(markers.values()) & {"D", "d"}
    assert len({markers[f"model-{i}"] for i in range(8)}) == 8


def test_known_values_come_first_and_in_order():
    frame = pd.DataFrame({"method": ["po", "mine", "none", "dim", "po"]})
    assert theme.methods_in(frame) == ["none", "dim", "po", "mine"]


def test_theme_makes_saved_files_repeatable():
    with matplotlib.rc_context():
        theme.use_theme()
        assert matplotlib.rcParams["svg.hashsalt"] == "steering-study"


def test_goal_of_prompts_follows_from_how_they_are_steered_whatever_they_are_called():
    table = pd.DataFrame(
        {
            "dataset": ["mine", "mine", "theirs", "base only"],
            "condition": ["base", "induce", "bypass", "base"],
        }
    )
    assert theme.goal_of(table, "mine") == "goal: lower"
    assert theme.goal_of(table, "theirs") == "goal: higher"
    with pytest.raises(ValueError, match="base only prompts are steered in no condition"):
        theme.goal_of(table, "base only")
