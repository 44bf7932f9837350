"""Selection by texts: who is tried, what is counted, who flips most."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from steering_study.vectors.flips import candidate_requests, count_flips, flips_most, shortlist, vectors_of
from steering_study.vectors.schemas import CANDIDATE_FLIPS
from steering_study.vectors.selection import Filters, impose_candidate, select_candidate

FILTERS = Filters(min_induce=0.0, max_kl=0.1, max_depth=0.8)
SCORES = pd.DataFrame(
    [
        (1, -1, 2.0, -2.0),
        (1, -2, 1.0, -1.0),  # the best of layer 1
        (2, -1, -9.0, -1.0),  # the best of all
        (3, -1, 0.0, float("nan")),
        (4, -1, 5.0, -5.0),
        (8, -1, -9.0, 9.0),  # too late
    ],
    columns=["layer", "position", "bypass", "induce"],
)
PROMPTS = pd.DataFrame(
    {
        "id": list("abcd"),
        "source": "x",
        "split": "validation",
        "label": ["harmful", "harmless"] * 2,
        "text": list("ABCD"),
    }
)
LISTED = pd.DataFrame({"layer": [2, 1], "position": [-1, -2]})


def test_the_best_of_each_layer_and_of_these_the_best_few():
    assert shortlist(SCORES, n=2, filters=FILTERS, n_layers=10).to_numpy().tolist() == [[2, -1], [1, -2]]
    assert shortlist(SCORES, n=9, filters=FILTERS, n_layers=10).to_numpy().tolist() == [
        [2, -1],
        [1, -2],
        [4, -1],
    ]


def test_every_candidate_answers_the_first_prompts_at_every_coefficient_by_its_own_vector():
    requests = candidate_requests(
        PROMPTS, LISTED, coefficients={"induce": [1.0, 2.0], "bypass": [-1.0]}, n_prompts=1
    )
    shown = requests[["setting", "layer", "prompt_id", "condition", "coefficient"]].to_numpy().tolist()
    assert shown == [
        [0, 2, "b", "induce", 1.0],
        [0, 2, "b", "induce", 2.0],
        [0, 2, "a", "bypass", -1.0],
        [1, 1, "b", "induce", 1.0],
        [1, 1, "b", "induce", 2.0],
        [1, 1, "a", "bypass", -1.0],
    ]
    directions = torch.arange(12.0).reshape(3, 2, 2)
    assert vectors_of(requests, LISTED, directions).tolist() == [[10.0, 11.0]] * 3 + [[4.0, 5.0]] * 3


def judged(rows: list[tuple]) -> pd.DataFrame:
    table = pd.DataFrame(
        rows, columns=["setting", "condition", "coefficient", "prompt_id", "refused", "degenerate"]
    )
    return table.assign(label=["harmful" if c == "bypass" else "harmless" for c in table["condition"]])


BASE = pd.DataFrame({"prompt_id": list("abcd"), "refused": [True, False] * 2, "degenerate": False})


def test_flips_are_counted_by_candidate_direction_and_coefficient():
    rows = [
        (0, "bypass", -1.0, "a", False, False),
        (0, "bypass", -1.0, "c", False, True),  # readable texts alone flip
        (0, "induce", 1.0, "b", True, False),
        (1, "bypass", -1.0, "a", True, False),
    ]
    table = count_flips(BASE, judged(rows), LISTED)
    assert list(table) == [name for name in CANDIDATE_FLIPS.names if name != "selected"]
    assert table[["layer", "condition", "n", "flip_rate", "degenerate_rate"]].to_numpy().tolist() == [
        [2, "bypass", 2, 0.5, 0.5],
        [2, "induce", 1, 1.0, 0.0],
        [1, "bypass", 1, 0.0, 0.0],
    ]


def curve(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["layer", "position", "condition", "flip_rate", "degenerate_rate"])


def test_the_mean_of_the_best_readable_coefficients_decides():
    table = curve(
        (1, -1, "bypass", 0.9, 0.0),
        (1, -1, "induce", 0.1, 0.0),
        (2, -1, "bypass", 0.6, 0.1),
        (2, -1, "bypass", 1.0, 0.4),  # garbled
        (2, -1, "induce", 0.6, 0.0),
    )
    assert flips_most(table, max_degenerate=0.1) == (2, -1, pytest.approx(0.6))
    assert flips_most(table, max_degenerate=0.5) == (2, -1, pytest.approx(0.8))


def test_a_direction_without_a_readable_coefficient_counts_as_nothing():
    table = curve((1, -1, "bypass", 0.4, 0.0), (1, -1, "induce", 1.0, 0.9), (2, -1, "bypass", 0.3, 0.0))
    assert flips_most(table, max_degenerate=0.1) == (1, -1, pytest.approx(0.2))
    garbled = table.assign(degenerate_rate=1.0)
    assert flips_most(garbled, max_degenerate=0.1) == (1, -1, 0.0)


def test_the_table_of_candidates_says_why_and_what_the_published_rule_makes_of_it():
    scores = SCORES.assign(kl=0.01, ablation=0.0)
    table = select_candidate(scores, rule="flips", filters=FILTERS, n_layers=10)
    chosen = impose_candidate(table, layer=1, position=-2, why="flips most of 2 tried, 60 %")
    assert chosen.loc[chosen["selected"], "reason"].item() == "flips most of 2 tried, 60 % (induce <= 0)"
