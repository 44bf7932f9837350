"""Patching sets hold the responses of flipped prompts of the main sets, and nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from steering_study.circuits.patching_sets import flipped_prompts, patching_sets

DATASETS = {"harmful": "harmful", "harmless": "harmless"}


def verdicts(condition, rows):
    """Rows of (prompt id, label, dataset, refused, degenerate)."""
    table = pd.DataFrame(rows, columns=["prompt_id", "label", "dataset", "refused", "degenerate"])
    steered = table["label"].map({"harmful": "bypass", "harmless": "induce"})
    table["condition"] = steered if condition == "steer" else condition
    return table.assign(coefficient=0.0 if condition == "base" else 1.2)


BASE = verdicts(
    "base",
    [
        ("h-0", "harmful", "harmful", True, False),
        ("h-1", "harmful", "harmful", True, False),
        ("h-2", "harmful", "harmful", True, True),
        ("o-0", "harmful", "ood", True, False),
        ("s-0", "harmless", "harmless", False, False),
        ("s-1", "harmless", "harmless", False, False),
    ],
)
STEER = verdicts(
    "steer",
    [
        ("h-1", "harmful", "harmful", False, False),
        ("h-0", "harmful", "harmful", False, False),
        ("h-2", "harmful", "harmful", False, False),  # degenerate without steering
        ("o-0", "harmful", "ood", False, False),  # not a main set
        ("s-0", "harmless", "harmless", True, False),
        ("s-1", "harmless", "harmless", False, False),  # not flipped
    ],
)


def test_only_flipped_prompts_of_the_main_sets_are_taken():
    found = flipped_prompts(BASE, STEER, datasets=DATASETS, limit=None)
    assert list(found["prompt_id"]) == ["h-0", "h-1", "s-0"]
    assert list(found["half"]) == [0, 1, 0]
    assert set(found["coefficient"]) == {1.2}


def test_the_limit_is_of_each_set():
    found = flipped_prompts(BASE, STEER, datasets=DATASETS, limit=1)
    assert list(found["prompt_id"]) == ["h-0", "s-0"]


def test_a_set_without_a_flip_is_named_in_the_log(caplog):
    steer = STEER.assign(refused=STEER["refused"] & (STEER["label"] == "harmful"))
    assert set(flipped_prompts(BASE, steer, datasets=DATASETS, limit=None)["label"]) == {"harmful"}
    assert caplog.messages == [
        "steering flips no prompt of harmless: circuits rest on the other test sets alone"
    ]


def test_no_flip_at_all_is_one_line():
    with pytest.raises(ValueError, match=r"circuits\.methods"):
        flipped_prompts(BASE, STEER.assign(refused=BASE["refused"]), datasets=DATASETS, limit=None)


def test_each_set_has_the_text_that_its_name_says():
    def responses(table, text):
        return table.assign(prompt=table["prompt_id"], token_ids=[[text] for _ in range(len(table))])

    bystander = responses(STEER.query("prompt_id == 's-0'").assign(condition="bypass"), 9)
    steered = pd.concat([responses(STEER, 2), bystander])
    flipped = flipped_prompts(BASE, STEER, datasets=DATASETS, limit=None)
    sets = dict(patching_sets(flipped, responses(BASE, 1), steered))
    assert list(sets) == ["harmful_steer", "harmful_base", "harmless_steer", "harmless_base"]
    assert list(sets["harmful_base"]["prompt"]) == ["h-0", "h-1"]
    assert [ids[0] for ids in sets["harmful_steer"]["token_ids"]] == [2, 2]
    assert [ids[0] for ids in sets["harmless_base"]["token_ids"]] == [1]
    assert [ids[0] for ids in sets["harmless_steer"]["token_ids"]] == [2]
