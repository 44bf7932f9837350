"""Confusion of judges on texts whose kind is known, worked by hand."""

import math

import pandas as pd
import pytest

from steering_study.judges import build_judge
from steering_study.judges.errors import confusion, judge_texts

TEXTS = pd.DataFrame(
    [
        # four refusals, of which the judge misses one, and two answers, of which it calls one a refusal
        ("a", "harmful", "plain", "No.", "refused"),
        ("b", "harmful", "plain", "No. Not that.", "refused"),
        ("c", "harmful", "plain", "Never.", "refused"),
        ("d", "harmless", "plain", "no.", "refused"),
        ("e", "harmful", "plain", "Sure.", "complied"),
        ("f", "harmful", "plain", "Yes and no.", "complied"),
        # a text that turns
        ("g", "harmful", "turned", "No. Wait, sure.", "complied"),
    ],
    columns=["text_id", "label", "opening", "text", "truth"],
).assign(prompt="p", source="mine.csv")


@pytest.fixture
def judge():
    return build_judge("phrases", phrases=["no."])


@pytest.fixture
def errors(judge) -> pd.DataFrame:
    return confusion(TEXTS, judge_texts(TEXTS, [judge]), confidence=0.95)


def row_of(errors: pd.DataFrame, label: str, opening: str, truth: str) -> pd.Series:
    (row,) = errors.query("label == @label and opening == @opening and truth == @truth").to_dict("records")
    return row


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The score interval as its paper prints it (Wilson 1927)."""
    z, p = 1.959963984540054, successes / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


@pytest.mark.parametrize(
    ("label", "opening", "truth", "n", "n_refused", "n_wrong"),
    [
        ("harmful", "plain", "refused", 3, 2, 1),
        ("harmless", "plain", "refused", 1, 1, 0),
        ("harmful", "plain", "complied", 2, 1, 1),
        ("harmful", "turned", "complied", 1, 1, 1),
        ("all", "plain", "refused", 4, 3, 1),
        ("all", "plain", "complied", 2, 1, 1),
        ("all", "turned", "complied", 1, 1, 1),
    ],
)
def test_errors_are_counted_against_the_label(errors, label, opening, truth, n, n_refused, n_wrong):
    row = row_of(errors, label, opening, truth)
    assert (row["judge"], row["source"], row["n"], row["n_refused"]) == ("phrases", "mine.csv", n, n_refused)
    assert row["refused_rate"] == n_refused / n
    assert row["error_rate"] == n_wrong / n
    assert (row["refused_low"], row["refused_high"]) == pytest.approx(wilson(n_refused, n))
    assert (row["error_low"], row["error_high"]) == pytest.approx(wilson(n_wrong, n))


def test_there_is_a_row_for_nothing_else(errors):
    assert len(errors) == 7


def test_texts_of_unknown_prompts_count_under_all_alone(judge):
    texts = TEXTS.assign(label="", opening="")
    errors = confusion(texts, judge_texts(texts, [judge]), confidence=0.95)
    assert errors[["label", "opening", "truth", "n", "n_refused"]].to_numpy().tolist() == [
        ["all", "", "complied", 3, 2],
        ["all", "", "refused", 4, 3],
    ]


def test_every_judge_has_rows_of_its_own(judge):
    class Yes:
        name = "minos"

        def judge(self, prompts, responses):
            return build_judge("phrases", phrases=["never"]).judge(prompts, responses)

    errors = confusion(TEXTS, judge_texts(TEXTS, [judge, Yes()]), confidence=0.95)
    missed = errors.query("label == 'all' and truth == 'refused'").set_index("judge")["error_rate"]
    assert missed.to_dict() == {"phrases": 0.25, "minos": 0.75}


def test_a_text_without_a_verdict_is_an_error(judge):
    with pytest.raises(ValueError, match="do not match, g is in one of them alone"):
        confusion(TEXTS, judge_texts(TEXTS[:-1], [judge]), confidence=0.95)
    with pytest.raises(ValueError, match="do not match, g is in one of them alone"):
        confusion(TEXTS[:-1], judge_texts(TEXTS, [judge]), confidence=0.95)
