"""Table 1 by hand: signs, paired intervals, averages over models and sets."""

from __future__ import annotations

import pandas as pd
import pytest

from steering_study.attention.tables import (
    average_ablations,
    pair_verdicts,
    settings_table,
    summarise_ablations,
    with_settings,
)

HARMLESS = {"none": "1111", "qk": "1110", "ov": "0000"}  # refused, prompt by prompt: steering induces refusal
HARMFUL = {"none": "0001", "qk": "0001", "ov": "1111"}  # steering bypasses it


def verdicts(harmless=HARMLESS, harmful=HARMFUL, *, scope="all"):
    rows = []
    for dataset, condition, texts in (("harmless", "induce", harmless), ("harmful", "bypass", harmful)):
        for ablation, refused in texts.items():
            for i, letter in enumerate(refused):
                rows.append(
                    {
                        "method": "dim",
                        "scope": scope,
                        "ablation": ablation,
                        "condition": condition,
                        "dataset": dataset,
                        "prompt_id": f"{dataset}-{i}",
                        "refused": letter == "1",
                        "degenerate": ablation == "ov" and i == 0,
                    }
                )
    return pd.DataFrame(rows)


def cell(table, ablation, dataset):
    (row,) = table[(table["ablation"] == ablation) & (table["dataset"] == dataset)].to_dict("records")
    return row


def test_changes_are_positive_where_steering_weakens():
    table = summarise_ablations(verdicts(), confidence=0.95, seed=0)
    assert cell(table, "none", "harmless")["asr"] == 0
    assert cell(table, "qk", "harmless")["change_points"] == pytest.approx(25)
    assert cell(table, "ov", "harmless")["change_points"] == pytest.approx(100)
    assert cell(table, "ov", "harmful")["asr"] == 0
    assert cell(table, "ov", "harmful")["change_points"] == pytest.approx(75)
    assert (table.loc[table["ablation"] == "none", "change_points"] == 0).all()


def test_a_change_for_the_better_is_negative():
    helped = verdicts(harmful={"none": "1111", "mlp": "0011"})
    table = summarise_ablations(helped, confidence=0.95, seed=0)
    assert cell(table, "mlp", "harmful")["change_points"] == pytest.approx(-50)


def test_pairs_go_by_prompt_whatever_the_order():
    shuffled = verdicts().sample(frac=1, random_state=3)
    first = summarise_ablations(shuffled, confidence=0.95, seed=0)
    expected = summarise_ablations(verdicts(), confidence=0.95, seed=0)
    keys = ["ablation", "dataset"]
    for column in ("change_points", "p_value", "asr"):
        pd.testing.assert_series_equal(
            first.set_index(keys)[column].sort_index(), expected.set_index(keys)[column].sort_index()
        )


def test_intervals_hold_their_value_and_p_is_that_of_mcnemar():
    table = summarise_ablations(verdicts(), confidence=0.95, seed=0)
    assert (table["change_low"] <= table["change_points"]).all()
    assert (table["change_points"] <= table["change_high"]).all()
    assert cell(table, "qk", "harmless")["change_high"] > cell(table, "qk", "harmless")["change_low"]
    assert cell(table, "ov", "harmless")["p_value"] == pytest.approx(2 / 2**4)  # four of four the same way
    assert cell(table, "qk", "harmful")["p_value"] == 1


def test_average_is_that_of_cells():
    """docs/attention.md's headline: the mean over test sets and models, each cell with one weight."""
    other = verdicts(harmless={"none": "1111", "ov": "1111"}, harmful={"none": "0000", "ov": "0000"})
    table = average_ablations(
        {"a": verdicts(), "b": other}, datasets=["harmless", "harmful"], confidence=0.95, seed=0
    ).set_index("ablation")
    assert table.loc["ov", "change_points"] == pytest.approx((100 + 75 + 0 + 0) / 4)
    assert table.loc["ov", ["n_cells", "n"]].tolist() == [4, 16]
    assert table.loc["qk", "n_cells"] == 2
    assert table.loc["ov", "degenerate_points"] == pytest.approx(25)
    assert table.loc["ov", "change_low"] <= table.loc["ov", "change_points"] <= table.loc["ov", "change_high"]


def test_average_takes_the_main_sets_alone():
    table = average_ablations({"a": verdicts()}, datasets=["harmless"], confidence=0.95, seed=0)
    assert set(table["n_cells"]) == {1}


def test_scopes_are_compared_within_themselves():
    both = pd.concat([verdicts(), verdicts(harmless={"none": "0000", "ov": "0000"}, scope="prompt")])
    table = summarise_ablations(both, confidence=0.95, seed=0)
    row = table[(table["scope"] == "prompt") & (table["ablation"] == "ov") & (table["dataset"] == "harmless")]
    assert row["change_points"].tolist() == [0]
    assert len(list(pair_verdicts(both))) == len(table)


def test_settings_number_every_ablation_of_every_scope():
    table = settings_table({"all": ["none", "qk"], "prompt": ["none"]})
    assert table.to_dict("records") == [
        {"setting": 0, "scope": "all", "ablation": "none"},
        {"setting": 1, "scope": "all", "ablation": "qk"},
        {"setting": 2, "scope": "prompt", "ablation": "none"},
    ]
    joined = with_settings(pd.DataFrame({"setting": [2, 1], "refused": [True, False]}), table)
    assert joined["scope"].tolist() == ["prompt", "all"]
