"""What is measured of candidates: no more than the choice needs, and the same choice as with all of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering_study.vectors.candidates import needed_scores
from steering_study.vectors.selection import NOT_NEEDED, Filters, select_candidate

FILTERS = Filters(min_induce=0.0, max_kl=0.1, max_depth=0.8)
N_LAYERS = 10
NAN, INF = float("nan"), float("inf")


def table(rows: list[tuple[float, ...]]) -> pd.DataFrame:
    """Rows of bypass, induce, kl and ablation, at layers and positions in turn."""
    frame = pd.DataFrame(rows, columns=["bypass", "induce", "kl", "ablation"]).astype(float)
    places = [(2 + i // 2, -1 - i % 2) for i in range(len(rows))]
    return frame.assign(layer=[layer for layer, _ in places], position=[position for _, position in places])


def lazily(full: pd.DataFrame, rule: str, **given) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    """Select with scores measured on demand; which rows were asked for each."""
    asked: dict[str, list[int]] = {"kl": [], "ablation": []}

    def measure(name):
        def value(layer, position):
            (row,) = full.index[(full["layer"] == layer) & (full["position"] == position)]
            asked[name].append(row)
            return float(full.at[row, name])

        return value

    known = full[["layer", "position", "bypass", "induce"]]
    measures = {name: measure(name) for name in asked}
    scores, unmeasured = needed_scores(
        known, measures, rule=rule, filters=FILTERS, n_layers=N_LAYERS, **given
    )
    chosen = select_candidate(scores, rule=rule, filters=FILTERS, n_layers=N_LAYERS, unmeasured=unmeasured)
    return chosen, asked


numbers = st.sampled_from([-2.0, -0.5, 0.0, 0.01, 0.09, 0.1, 0.5, 3.0, NAN, INF, -INF])


@pytest.mark.parametrize("rule", ["paper", "arditi"])
@given(rows=st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=14))
def test_the_choice_is_that_of_all_scores(rule, rows):
    full = table(rows)
    try:
        expected = select_candidate(full, rule=rule, filters=FILTERS, n_layers=N_LAYERS)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            lazily(full, rule)
        return
    found, asked = lazily(full, rule)
    assert list(found["selected"]) == list(expected["selected"])
    (row,) = found.index[found["selected"]]
    assert found.at[row, "reason"] == expected.at[row, "reason"]
    assert found.at[row, "kl"] == expected.at[row, "kl"] or np.isnan(expected.at[row, "kl"])
    for name, rows_asked in asked.items():
        assert len(rows_asked) == len(set(rows_asked)), name


HAND = table(
    [
        (-9.0, 9.0, 0.5, -1.0),  # best, but kl
        (-4.0, 4.0, 0.01, -2.0),  # second best, and passes
        (-3.0, 3.0, 0.01, -3.0),
        (-2.0, -2.0, 0.01, -9.0),  # induce
    ]
)


def test_the_papers_rule_measures_kl_until_one_passes_and_no_ablation():
    found, asked = lazily(HAND, "paper")
    assert asked == {"kl": [0, 1], "ablation": []}
    assert list(found["reason"]) == ["kl >= 0.1", "", NOT_NEEDED, "induce <= 0"]
    assert list(found["kept"]) == [False, True, False, False]


def test_arditis_rule_measures_ablation_of_those_that_may_pass_and_kl_until_one_does():
    found, asked = lazily(HAND, "arditi")
    assert asked == {"kl": [2], "ablation": [0, 1, 2]}
    assert list(found["selected"]) == [False, False, True, False]


def test_where_no_candidate_can_pass_the_best_is_described_all_the_same():
    found, asked = lazily(HAND[3:].reset_index(drop=True), "paper")
    assert asked["kl"] == [0]
    assert found["reason"].item() == "no candidate passes the filters; best unfiltered (induce <= 0)"


def test_a_published_candidate_is_measured_and_all_are_where_that_is_asked_for():
    _, asked = lazily(HAND, "paper", wanted=[(3, -2)])
    assert asked == {"kl": [0, 1, 3], "ablation": [3]}
    _, asked = lazily(HAND, "paper", every=True)
    assert {name: sorted(rows) for name, rows in asked.items()} == {
        "kl": [0, 1, 2, 3],
        "ablation": [0, 1, 2, 3],
    }
