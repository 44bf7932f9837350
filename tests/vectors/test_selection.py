"""Selection of the DIM candidate and of the coefficients: published choices, and tables by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from steering_study.vectors.selection import Filters, impose_candidate, select_candidate, select_trial

RUNS = Path(__file__).parents[2].parent / "shared/datasets/refusal_direction/runs"
FILTERS = Filters(min_induce=0.0, max_kl=0.1, max_depth=0.8)
NAN = float("nan")


def candidates(*rows: tuple[float, ...]) -> pd.DataFrame:
    """Rows of layer, position, bypass, induce, kl, ablation."""
    return pd.DataFrame(rows, columns=["layer", "position", "bypass", "induce", "kl", "ablation"])


def selected(table: pd.DataFrame) -> tuple[int, int]:
    (row,) = table[table["selected"]].itertuples()
    return row.layer, row.position


@pytest.mark.skipif(not RUNS.is_dir(), reason="needs the published runs in ../shared/datasets")
@pytest.mark.parametrize(
    ("model", "n_layers", "choice", "n_kept"),
    [("gemma-2b-it", 18, (10, -2), 13), ("qwen-1_8b-chat", 24, (15, -2), 12)],
)
def test_arditi_rule_gives_the_published_choice_and_count(model, n_layers, choice, n_kept):
    published = pd.DataFrame(json.loads((RUNS / model / "direction_evaluations.json").read_text()))
    scores = published.rename(
        columns={"refusal_score": "ablation", "steering_score": "induce", "kl_div_score": "kl"}
    ).assign(bypass=NAN)
    table = select_candidate(scores, rule="arditi", filters=FILTERS, n_layers=n_layers)
    metadata = json.loads((RUNS / model / "direction_metadata.json").read_text())
    assert selected(table) == choice == (metadata["layer"], metadata["pos"])
    kept = json.loads((RUNS / model / "direction_evaluations_filtered.json").read_text())
    assert len(table) == n_layers * 5
    assert table["kept"].sum() == len(kept) == n_kept
    names = set(zip(table[table["kept"]]["layer"], table[table["kept"]]["position"], strict=True))
    assert names == {(row["layer"], row["position"]) for row in kept}


HAND = candidates(
    # layer, position, bypass, induce, kl, ablation
    (2, -1, -1.0, 1.0, 0.01, -3.0),  # sigmoid difference -0.46
    (3, -1, -4.0, 0.5, 0.01, -1.0),  # -0.60: least
    (4, -1, -9.0, 9.0, 0.10, -9.0),  # -1.00, but kl
    (5, -1, -9.0, 0.0, 0.01, -9.0),  # -0.50, but induce
    (8, -1, -9.0, 9.0, 0.01, -9.0),  # -1.00, but layer
    (9, -2, -9.0, -1.0, 0.20, -9.0),  # all three
)


def choose(scores: pd.DataFrame, rule: str = "paper") -> pd.DataFrame:
    return select_candidate(scores, rule=rule, filters=FILTERS, n_layers=10)


def test_paper_rule_takes_the_least_difference_of_sigmoids():
    assert selected(choose(HAND)) == (3, -1)


def test_arditi_rule_takes_the_least_refusal_under_ablation():
    assert selected(choose(HAND, "arditi")) == (2, -1)


def test_reasons_name_every_filter_that_fell():
    table = choose(HAND)
    assert list(table["reason"]) == [
        "",
        "",
        "kl >= 0.1",
        "induce <= 0",
        "layer >= 8",
        "layer >= 8, induce <= 0, kl >= 0.1",
    ]
    assert list(table["kept"]) == [True, True, False, False, False, False]


def test_scores_are_left_as_they_were():
    before = HAND.copy()
    table = choose(HAND)
    pd.testing.assert_frame_equal(HAND, before)
    pd.testing.assert_frame_equal(table[list(HAND)], before)


def test_order_of_the_rows_does_not_matter():
    assert selected(choose(HAND.iloc[::-1].reset_index(drop=True))) == (3, -1)


def test_fallback_is_the_best_unfiltered_and_says_so():
    table = choose(HAND[2:].reset_index(drop=True))
    assert selected(table) == (4, -1)
    assert not table["kept"].any()
    reason = table[table["selected"]]["reason"].item()
    assert reason == "no candidate passes the filters; best unfiltered (kl >= 0.1)"


def test_candidate_with_a_nan_filter_score_is_not_kept():
    table = choose(candidates((2, -1, -1.0, 1.0, NAN, 0.0), (3, -1, -0.5, 1.0, 0.01, 0.0)))
    assert list(table["kept"]) == [False, True]
    assert selected(table) == (3, -1)


@pytest.mark.parametrize(
    ("induce", "kl", "reason"),
    [
        (1.0, NAN, "kl is not finite"),
        (1.0, float("inf"), "kl >= 0.1, kl is not finite"),
        (float("inf"), 0.01, "induce is not finite"),
        (-float("inf"), NAN, "induce <= 0, induce is not finite, kl is not finite"),
        (-1.0, NAN, "induce <= 0, kl is not finite"),
    ],
)
def test_a_score_that_is_not_finite_is_named_so(induce, kl, reason):
    table = choose(candidates((2, -1, -1.0, induce, kl, 0.0), (3, -1, -0.5, 1.0, 0.01, 0.0)))
    assert table["reason"].tolist() == [reason, ""]


def test_candidate_with_a_nan_loss_is_never_selected():
    table = choose(candidates((2, -1, NAN, 9.0, 0.01, 0.0), (3, -1, -0.5, 1.0, 0.01, 0.0)))
    assert selected(table) == (3, -1)
    assert selected(choose(candidates((2, -1, NAN, 9.0, 0.01, 0.0), (3, -1, 9.0, -1.0, 0.01, 0.0)))) == (
        3,
        -1,
    )


def test_no_finite_score_is_an_error():
    with pytest.raises(ValueError, match="no candidate direction has finite scores"):
        choose(candidates((2, -1, NAN, NAN, NAN, NAN)))


def test_imposed_candidate_replaces_the_choice_and_keeps_the_verdict_on_it():
    table = impose_candidate(choose(HAND), layer=4, position=-1)
    assert selected(table) == (4, -1)
    assert table[table["selected"]]["reason"].item() == "published choice (kl >= 0.1)"
    assert table[table["layer"] == 3]["reason"].item() == ""


def test_imposed_candidate_that_passes_is_named_published():
    table = impose_candidate(choose(HAND), layer=2, position=-1)
    assert table[table["selected"]]["reason"].item() == "published choice"


@pytest.mark.parametrize(("layer", "position"), [(30, -1), (4, -7)])
def test_imposed_candidate_outside_the_model_is_refused(layer, position):
    with pytest.raises(ValueError, match=rf"layer {layer}, position {position} is no candidate"):
        impose_candidate(choose(HAND), layer=layer, position=position)


def trials(rows: list[tuple[float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["phi", "validation_loss", "match_score"])


def test_trial_of_a_method_without_phi_has_the_least_validation_loss():
    table = select_trial(trials([(NAN, 3.0, 0.9), (NAN, 2.0, 0.1), (NAN, NAN, 1.0)]))
    assert table["selected"].tolist() == [False, True, False]


def test_trials_of_several_phi_are_compared_by_match_score():
    table = select_trial(trials([(0.02, 9.0, 0.99), (0.02, 8.0, 0.7), (1e-5, 0.5, 0.6), (1e-5, 0.6, 0.9)]))
    assert table["selected"].tolist() == [False, True, False, False]


def test_search_without_a_finite_loss_is_an_error():
    with pytest.raises(ValueError, match="learning_rates"):
        select_trial(trials([(NAN, float("inf"), 0.0)]))
