"""Which prompts are steered how."""

from __future__ import annotations

import pandas as pd

from steering_study.generation import steered_requests
from steering_study.judges.panel import is_target

PROMPTS = pd.DataFrame(
    [("a", "harmless"), ("b", "harmful"), ("c", "harmless")], columns=["id", "label"]
).assign(source="mine", split="test", text="?")
GRID = {"induce": [0.5, 1.0], "bypass": [-1.0]}


def asked(requests: pd.DataFrame) -> list[tuple]:
    return sorted(
        zip(
            requests["prompt_id"],
            requests["condition"],
            requests["layer"],
            requests["coefficient"],
            strict=True,
        )
    )


def test_each_prompt_is_steered_in_its_own_condition_at_every_layer_and_coefficient():
    requests = steered_requests(PROMPTS, layers=[2, 3], coefficients=GRID)
    assert asked(requests) == sorted(
        (prompt, condition, layer, coefficient)
        for prompt, condition in (("a", "induce"), ("b", "bypass"), ("c", "induce"))
        for layer in (2, 3)
        for coefficient in GRID[condition]
    )
    assert is_target(requests).all()


def test_bystanders_are_harmless_prompts_under_bypass():
    requests = steered_requests(PROMPTS, layers=[2], coefficients=GRID, bystanders=True)
    beside = requests[~is_target(requests)]
    assert asked(beside) == [("a", "bypass", 2, -1.0), ("c", "bypass", 2, -1.0)]
    assert asked(requests[is_target(requests)]) == asked(
        steered_requests(PROMPTS, layers=[2], coefficients=GRID)
    )
