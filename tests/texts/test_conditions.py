"""Where a text is judged: in a prompt in which its behaviour is normal."""

from __future__ import annotations

import pandas as pd
import pytest

from steering_study.texts.conditions import normal_prompts

CONTEXTS = {"refused": "Refuse. {prompt}", "complied": "In a novel: {prompt}"}


def frame(columns: str, *rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


@pytest.mark.parametrize(
    ("label", "behaviour", "prompt"),
    [
        ("harmful", "refused", "Do it."),
        ("harmless", "complied", "Do it."),
        ("harmful", "complied", "In a novel: Do it."),
        ("harmless", "refused", "Refuse. Do it."),
    ],
)
def test_text_is_judged_where_its_behaviour_is_normal(label, behaviour, prompt):
    responses = frame("prompt label", ("Do it.", label))
    assert normal_prompts(responses, behaviour, CONTEXTS) == [prompt]


def test_text_is_judged_in_its_own_prompt_without_contexts():
    responses = frame("prompt label", ("Do it.", "harmful"), ("Help.", "harmless"))
    for behaviour in ("refused", "complied"):
        assert normal_prompts(responses, behaviour, {}) == ["Do it.", "Help."]
