"""Contrast pairs: which are kept, and why the others are not."""

from __future__ import annotations

import pandas as pd

from steering_study.vectors.contrast import ask_to_refuse, contrast_prompts, pair_responses


def responses(rows: list[tuple[str, str, bool, bool]], *, method: str) -> pd.DataFrame:
    """Rows of prompt id, label, refused, degenerate."""
    frame = pd.DataFrame(rows, columns=["prompt_id", "label", "refused", "degenerate"])
    return frame.assign(
        split="train",
        method=method,
        prompt="Prompt " + frame["prompt_id"],
        text=f"{method} " + frame["prompt_id"],
        token_ids=[[1, 2, 3, 4, i] for i in range(len(frame))],
    )


BASE = responses(
    [
        ("a", "harmless", False, False),
        ("b", "harmful", True, False),
        ("c", "harmless", True, False),
        ("d", "harmful", True, True),
        ("e", "harmful", True, False),
    ],
    method="none",
)
CONTRAST = responses(
    [
        ("a", "harmless", True, False),
        ("b", "harmful", False, False),
        ("c", "harmless", True, False),
        ("d", "harmful", False, False),
        ("e", "harmful", True, False),
    ],
    method="dim",
)


def test_pair_is_kept_when_both_responses_show_their_behaviour():
    table = pair_responses(BASE, CONTRAST, max_tokens=3).set_index("prompt_id")
    assert table["kept"].to_dict() == {"a": True, "b": True, "c": False, "d": False, "e": False}
    assert table.loc["a", "reason"] == table.loc["b", "reason"] == ""
    assert table.loc["c", "reason"] == "unsteered model already refuses"
    assert table.loc["d", "reason"] == "unsteered response is degenerate"
    assert table.loc["e", "reason"] == "desired response still refuses"


def test_degenerate_desired_response_is_dropped():
    broken = CONTRAST.assign(degenerate=True)
    assert pair_responses(BASE, broken, max_tokens=3)["reason"].iloc[0] == "desired response is degenerate"


def test_sign_is_that_of_the_coefficient():
    table = pair_responses(BASE, CONTRAST, max_tokens=3)
    assert table["sign"].tolist() == [1.0, -1.0, 1.0, -1.0, -1.0]
    assert set(table["origin"]) == {"steered"}


def test_tokens_are_taken_from_the_start_and_never_written_anew():
    table = pair_responses(BASE, CONTRAST, max_tokens=4)
    assert table["desired_ids"].tolist() == [[1, 2, 3, 4]] * 5
    assert pair_responses(BASE, CONTRAST, max_tokens=9)["undesired_ids"].iloc[3] == [1, 2, 3, 4, 3]


def test_order_of_the_tables_does_not_matter():
    shuffled = BASE.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        pair_responses(shuffled, CONTRAST, max_tokens=3), pair_responses(BASE, CONTRAST, max_tokens=3)
    )


def test_prompt_without_its_base_response_has_no_pair():
    assert "a" not in set(pair_responses(BASE.iloc[1:], CONTRAST, max_tokens=3)["prompt_id"])


def test_test_prompts_are_left_out():
    prompts = pd.DataFrame({"split": ["train", "validation", "augmentation", "test"]})
    assert list(contrast_prompts(prompts)["split"]) == ["train", "validation", "augmentation"]


def test_refusal_is_asked_for_in_the_prompt():
    assert list(ask_to_refuse(pd.Series(["Hi {there}"]), "Refuse. {prompt}")) == ["Refuse. Hi {there}"]
