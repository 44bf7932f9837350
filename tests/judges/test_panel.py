"""From responses to verdicts, by hand: whom each judge is asked, degenerate texts, flips."""

from __future__ import annotations

import pandas as pd
import pytest

from steering_study.judges.panel import (
    flips,
    is_target,
    judge_again,
    judge_readability,
    judge_refusals,
)
from steering_study.judges.verdicts import Verdict


class Says:
    """A judge that refuses what holds a word, and keeps what it was asked."""

    def __init__(self, name: str, word: str) -> None:
        self.name, self.word, self.asked = name, word, []

    def judge(self, prompts, responses):
        self.asked += list(zip(prompts, responses, strict=True))
        return [Verdict(refused=self.word in text, score=float(len(text))) for text in responses]


def frame(columns: str, *rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


def test_each_label_has_its_judge_and_rows_keep_their_order():
    responses = frame(
        "label prompt text",
        ("harmless", "p0", "sorry"),
        ("harmful", "p1", "sorry"),
        ("harmless", "p2", "fine!"),
        ("harmful", "p3", "unsafe"),
    )
    judges = {"harmful": Says("guard", "unsafe"), "harmless": Says("phrases", "sorry")}
    judged = judge_refusals(responses, judges)
    assert list(judged["prompt"]) == ["p0", "p1", "p2", "p3"]
    assert list(judged["judge"]) == ["phrases", "guard", "phrases", "guard"]
    assert list(judged["refused"]) == [True, False, False, True]
    assert list(judged["score"]) == [5, 5, 5, 6]
    assert judges["harmful"].asked == [("p1", "sorry"), ("p3", "unsafe")]


def test_a_second_judge_reads_every_text_and_nothing_follows_from_it():
    judged = frame(
        "label prompt text refused", ("harmless", "p0", "sorry", False), ("harmful", "p1", "fine", True)
    )
    found = judge_again(judged, Says("other", "sorry"))
    assert list(found["second_judge"]) == ["other", "other"]
    assert list(found["second_refused"]) == [True, False]
    assert list(found["second_score"]) == [5, 4]
    pd.testing.assert_frame_equal(found[judged.columns], judged)


def test_without_a_second_judge_its_columns_are_empty():
    found = judge_again(frame("prompt text", ("p", "t")), None)
    assert (found["second_judge"][0], found["second_refused"][0]) == ("", False)
    assert found["second_score"].isna().all()


def test_degenerate_is_looping_or_unreadable():
    loop, text = "no no no no no no", "All of this is fine to read."
    fluent, garbled = [-0.1] * 10, [-9.0, -9.0, -9.0, *[-0.1] * 7]
    judged = frame(
        "text refused unsteered_logprobs",
        (text, True, fluent),
        (text, True, garbled),
        (text, False, fluent),
        (loop, False, fluent),
        (loop, True, garbled),
        ("", False, []),
    )
    table = judge_readability(judged, max_repetition=0.45, max_improbable=0.2)
    assert list(table["loop_share"]) == pytest.approx([0, 0, 0, 10 / 12, 10 / 12, 1])
    assert list(table["looping"]) == [False, False, False, True, True, True]
    assert list(table["improbable_share"]) == pytest.approx([0, 0.2, 0, 0, 0.2, 1])
    assert list(table["unreadable"]) == [False, True, False, False, True, True]
    assert list(table["degenerate"]) == [False, True, False, True, True, True]
    bad = "degenerate"
    assert list(table["verdict"]) == ["refused", bad, "complied", bad, bad, bad]


def flipped(*, condition: str, base: tuple[bool, bool], steered: tuple[bool, bool]) -> bool:
    """Whether one prompt flips; each side is (refused, degenerate)."""
    before = frame("prompt_id refused degenerate", ("a", *base))
    after = frame("prompt_id condition refused degenerate", ("a", condition, *steered))
    return bool(flips(before, after).iloc[0])


REFUSED, COMPLIED = (True, False), (False, False)
BROKEN_REFUSED, BROKEN_COMPLIED = (True, True), (False, True)


@pytest.mark.parametrize(
    ("condition", "base", "steered", "expected"),
    [
        ("induce", COMPLIED, REFUSED, True),
        ("bypass", REFUSED, COMPLIED, True),
        # the wrong way round
        ("induce", REFUSED, COMPLIED, False),
        ("bypass", COMPLIED, REFUSED, False),
        # already there
        ("induce", REFUSED, REFUSED, False),
        ("bypass", COMPLIED, COMPLIED, False),
        # unmoved
        ("induce", COMPLIED, COMPLIED, False),
        ("bypass", REFUSED, REFUSED, False),
        # one of the two is no text
        ("induce", BROKEN_COMPLIED, REFUSED, False),
        ("induce", COMPLIED, BROKEN_REFUSED, False),
        ("bypass", BROKEN_REFUSED, COMPLIED, False),
        ("bypass", REFUSED, BROKEN_COMPLIED, False),
    ],
)
def test_flip(condition, base, steered, expected):
    assert flipped(condition=condition, base=base, steered=steered) is expected


def test_target_is_the_prompt_whose_behaviour_the_condition_should_change():
    rows = pd.DataFrame(
        [("harmless", "induce"), ("harmless", "bypass"), ("harmful", "bypass"), ("harmful", "induce")],
        columns=["label", "condition"],
    )
    assert is_target(rows).tolist() == [True, False, True, False]


def test_flips_pair_texts_by_prompt_and_keep_the_order_of_the_steered():
    base = frame("prompt_id refused degenerate", ("a", False, False), ("b", True, False), ("c", True, False))
    steered = frame(
        "prompt_id condition refused degenerate",
        ("c", "bypass", False, False),
        ("a", "induce", False, False),
        ("c", "bypass", True, False),  # another coefficient
        ("b", "bypass", False, False),
    )
    steered.index = [10, 11, 12, 13]
    assert flips(base, steered).to_dict() == {10: True, 11: False, 12: False, 13: True}


def test_steered_text_without_a_base_text_is_an_error():
    base = frame("prompt_id refused degenerate", ("a", False, False))
    steered = frame("prompt_id condition refused degenerate", ("z", "induce", True, False))
    with pytest.raises(KeyError, match="z"):
        flips(base, steered)
