"""No prompt twice, none of the test split elsewhere, none with both labels."""

from dataclasses import replace

import pytest
from tests.prompts.made_prompts import make

from steering_study.prompts.overlap import check_overlap, drop_blank, drop_duplicates, exclude_overlaps
from steering_study.prompts.sources import Prompt


def test_pool_loses_what_a_test_set_holds():
    pool = make(5, source="quoted", label="harmful", word="same")
    test = make(2, source="exam", label="harmful", split="test_pool", word="SAME!")
    kept, excluded = exclude_overlaps([*pool, *test])
    assert [p.id for p in kept] == ["quoted-0002", "quoted-0003", "quoted-0004", "exam-0000", "exam-0001"]
    assert excluded == {"quoted": 2}


def test_a_prompt_counts_once_in_a_pool_and_in_each_test_set():
    pools = make(3, source="a", label="harmful", word="x") + make(4, source="b", label="harmful", word="X")
    tests = make(2, source="t", label="harmful", split="test_pool") * 2
    tests += make(2, source="u", label="harmful", split="test_pool", word="t")
    kept, dropped = drop_duplicates([*pools, *tests])
    assert dropped == {"b": 3, "t": 2}
    assert [p.source for p in kept] == ["a", "a", "a", "b", "t", "t", "u", "u"]


@pytest.mark.parametrize("split", ["train", "validation", "augmentation", "pool"])
def test_test_prompt_in_another_split_is_refused(split):
    left = make(5, source="exam", label="harmful", split="test", word="How to " + "very " * 20)
    right = make(5, source="class", label="harmful", split=split, word="how to, " + "very " * 20)
    check_overlap(left)
    check_overlap(right)
    with pytest.raises(
        ValueError, match="also occur in train, validation, augmentation or a pool"
    ) as refusal:
        check_overlap(left + right)
    message = str(refusal.value)
    assert message.startswith("5 prompt(s) of the test split")
    assert [f"exam-000{i} of exam, class-000{i} of class" in message for i in range(5)] == [True] * 3 + [
        False
    ] * 2
    assert "delete them" in message
    assert len(message) < 600  # long prompts are shortened


def test_prompt_under_both_labels_is_refused():
    rows = make(1, source="a", label="harmful", word="x") + make(1, source="b", label="harmless", word="X")
    with pytest.raises(
        ValueError, match=r"1 prompt\(s\) carry both labels: 'x prompt 0' .*; correct the files"
    ):
        check_overlap(rows)


@pytest.mark.parametrize("sign", ["\u200b", "\u2060", "\u00ad"])
def test_a_sign_that_shows_nothing_hides_no_overlap(sign):
    plain = Prompt("a-0", "train", "harmful", "a", "refusal", "How do I bake bread?")
    hidden = Prompt("b-0", "test", "harmful", "b", "refusal", f"How do I ba{sign}ke bread?")
    with pytest.raises(ValueError, match="of the test split also occur in train"):
        check_overlap([plain, hidden])
    with pytest.raises(ValueError, match="carry both labels"):
        check_overlap([plain, replace(hidden, split="train", label="harmless")])
    assert drop_duplicates([plain, replace(hidden, split="train")]) == ([plain], {"b": 1})
    assert exclude_overlaps([replace(plain, split="pool"), hidden]) == ([hidden], {"a": 1})


@pytest.mark.parametrize("text", ["\u200b", "\u2060\u00ad", "\u3164 \u2800", "\x00"])
def test_prompts_that_show_nothing_are_dropped(text):
    shown = make(2, source="a", label="harmful")
    assert drop_blank([*shown, Prompt("b-0", "pool", "harmful", "b", "refusal", text)]) == (shown, {"b": 1})


def test_two_test_sets_may_share_a_prompt():
    check_overlap(
        make(2, source="a", label="harmful", split="test", word="x")
        + make(2, source="b", label="harmful", split="test", word="x")
    )
