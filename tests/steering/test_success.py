"""Verdicts to summary tables, by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.steering.verdicts import verdicts

from steering_study.stats import wilson_interval
from steering_study.steering.schemas import ASR, BYSTANDERS
from steering_study.steering.success import summarise_asr, summarise_bystanders, summarise_flips


def test_asr_is_the_share_not_refused_whatever_degenerates():
    table = summarise_asr(verdicts(refused="ynnn", degenerate="nnyy"), model="mine", confidence=0.95)
    row = table.iloc[0]
    low, high = wilson_interval(3, 4, confidence=0.95)
    assert set(table) == set(ASR.names)
    assert (row["model"], row["n"], row["asr"], row["degenerate_rate"]) == ("mine", 4, 0.75, 0.5)
    assert (row["asr_low"], row["asr_high"]) == (low, high)


def test_asr_has_a_row_for_each_dataset_and_condition():
    rows = pd.concat(
        [
            verdicts(refused="nn", method="none", condition="base", coefficient=0.0),
            verdicts(refused="yn", method="dim", condition="induce"),
            verdicts(refused="yyyn", method="dim", condition="bypass", dataset="ood", judge="guard"),
        ]
    )
    table = summarise_asr(rows, model="mine", confidence=0.95).set_index("condition")
    assert table["asr"].to_dict() == {"base": 1.0, "induce": 0.5, "bypass": 0.25}
    assert table["judge"].to_dict() == {"base": "phrases", "induce": "phrases", "bypass": "guard"}


def test_flip_rate_counts_fluent_changes_in_the_wanted_direction():
    base = verdicts(refused="nnny", degenerate="nnyn", condition="base")
    #                        a: flipped, b: degenerate, c: base degenerate, d: refused before
    steered = verdicts(refused="yyyy", degenerate="nynn")
    row = summarise_flips(base, steered, model="mine", confidence=0.95).iloc[0]
    low, high = wilson_interval(1, 4, confidence=0.95)
    assert (row["n"], row["flip_rate"], row["flip_low"], row["flip_high"]) == (4, 0.25, low, high)
    assert (row["asr"], row["degenerate_rate"]) == (0.0, 0.25)


def test_bystanders_stand_beside_their_unsteered_answers():
    base = verdicts(refused="ynnnn", condition="base").assign(looping=[False, True, False, False, True])
    bystanders = {"condition": "bypass", "coefficient": -1.0}
    steered = verdicts(refused="nnyy", degenerate="ynnn", **bystanders).assign(looping=[True] * 3 + [False])
    table = summarise_bystanders(base, steered, model="mine", confidence=0.95)
    assert set(table) == set(BYSTANDERS.names)
    row = table.iloc[0]
    low, high = wilson_interval(2, 4, confidence=0.95)
    assert (row["n"], row["refused_rate"], row["refused_low"], row["refused_high"]) == (4, 0.5, low, high)
    assert (row["base_refused_rate"], row["looping_rate"], row["base_looping_rate"]) == (0.25, 0.75, 0.25)
    assert (row["degenerate_rate"], row["base_degenerate_rate"]) == (0.25, 0.0)


def test_no_verdict_no_rate():
    with pytest.raises(KeyError):
        summarise_flips(verdicts(refused="n").head(0), verdicts(refused="y"), model="m", confidence=0.95)
