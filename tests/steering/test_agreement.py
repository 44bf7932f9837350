"""Two judges of the same texts, by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.steering.verdicts import verdicts

from steering_study.steering.agreement import N_DISAGREEMENTS, compare_judges, pick_disagreements
from steering_study.steering.figures.tables import table_agreement, table_disagreements
from steering_study.steering.schemas import JUDGE_AGREEMENT


def judged(*, refused: str, second: str, judge: str = "declines", **columns: object) -> pd.DataFrame:
    table = verdicts(refused=refused, **columns)
    return table.assign(second_judge=judge, second_refused=[flag == "y" for flag in second], second_score=0.4)


def test_rates_of_both_and_where_they_differ():
    table = compare_judges(judged(refused="yynnn", second="ynyyn"), model="mine", confidence=0.95)
    assert list(table) == JUDGE_AGREEMENT.names
    row = table.iloc[0]
    assert (row["model"], row["judge"], row["second_judge"], row["n"]) == ("mine", "phrases", "declines", 5)
    assert (row["asr"], row["second_asr"]) == (0.6, 0.4)
    assert (row["first_alone"], row["second_alone"], row["differ_rate"]) == (1, 2, 0.6)
    assert row["p_value"] == pytest.approx(1.0)


@pytest.mark.parametrize("judge", ["", "phrases"])
def test_no_second_judge_or_the_same_one_gives_no_rows(judge):
    table = compare_judges(judged(refused="yn", second="yn", judge=judge), model="mine", confidence=0.95)
    assert list(table) == JUDGE_AGREEMENT.names
    assert table.empty
    assert "no second judge" in table_agreement(table)


def test_the_first_texts_of_each_kind_are_shown():
    rows = judged(refused="yyyynn", second="nnnyyn").assign(model="mine", prompt="<p>", text="<t>")
    found = pick_disagreements(rows)
    assert list(found["prompt_id"]) == ["e", *"abc"[:N_DISAGREEMENTS]]
    shown = table_disagreements(found)
    assert "&lt;t&gt;" in shown
    assert "phrases: refused" in shown
    assert "refused to declines alone" in shown


def test_without_disagreements_the_table_says_so():
    rows = judged(refused="yn", second="yn").assign(model="mine", prompt="p", text="t")
    assert "none" in table_disagreements(pick_disagreements(rows))
