"""Frames of the section on attention: published numbers beside ours, and examples."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.conftest import REPOSITORY

from steering_study.attention.section import pick_frozen_examples, published_ablations


@pytest.fixture(scope="module")
def printed() -> pd.DataFrame:
    return pd.read_csv(REPOSITORY / "resources/paper/table1_frozen_activations.csv")


@pytest.mark.parametrize("names", [("harmless", "harmful"), ("alpaca", "jailbreakbench")])
def test_published_ablations_stand_under_our_names_whatever_the_source(printed, names):
    harmless, harmful = names
    found = published_ablations(printed, [harmless, harmful, "ood"])
    assert set(found["dataset"]) == set(names)
    assert len(found) == len(printed)
    of_set = found.set_index("dataset")["published_dataset"]
    assert set(of_set.loc[harmless]) == {"alpaca"}
    assert set(of_set.loc[harmful]) == {"jailbreakbench"}


def examples(refused_under_dim: list[bool]) -> pd.DataFrame:
    """Examples of harmless prompts, none refused without steering."""
    ids = [f"p{i}" for i in range(len(refused_under_dim))]
    base = pd.DataFrame(
        {"prompt_id": ids, "prompt": "?", "text": "Sure.", "model": "m", "dataset": "harmless"}
    )
    flags = pd.DataFrame({"prompt_id": ids, "refused": False, "verdict": "complied", "model": "m"})
    parts = []
    for setting, ablation in enumerate(("none", "qk", "ov")):
        parts.append(base.assign(setting=setting, condition="induce", text=f"under {ablation}"))
    texts = pd.concat(parts, ignore_index=True)
    verdicts = texts[["prompt_id", "setting", "model"]].assign(
        refused=refused_under_dim * 3,
        verdict=["refused" if each else "complied" for each in refused_under_dim] * 3,
    )
    settings = pd.DataFrame(
        {"model": "m", "setting": range(3), "scope": "all", "ablation": ["none", "qk", "ov"]}
    )
    base_tables = {"base_responses": base, "base_verdicts": flags}
    frozen_tables = {"frozen_responses": texts, "frozen_verdicts": verdicts}
    return pick_frozen_examples({"settings": settings, **frozen_tables, **base_tables})


@pytest.mark.parametrize(("refused", "chosen"), [([False, True, True], "p1"), ([False, False], "p0")])
def test_the_example_is_the_first_that_steering_turns_or_the_first_of_all(refused, chosen):
    found = examples(refused)
    assert set(found["prompt_id"]) == {chosen}
    assert list(found["ablation"]) == ["base", "none", "qk", "ov"]
