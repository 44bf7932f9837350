"""Which prompts are steered how, and how likely the model finds its texts."""

from __future__ import annotations

import pandas as pd
import pytest

from steering_study.judges.panel import is_target
from steering_study.models.chat import render_chat
from steering_study.models.likelihoods import response_logprobs
from steering_study.texts.options import Decoding
from steering_study.texts.responses import (
    add_likelihoods,
    base_requests,
    generate_responses,
    steered_requests,
)

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


def test_each_token_is_scored_after_the_prompt_that_its_text_answers(tiny_llama):
    model = tiny_llama.model
    rows = [("Hello!", [7, 8, 9]), ("Hm", [5]), ("Hello!", [7, 8, 9]), ("Hello!", [5])]
    responses = pd.DataFrame(rows, columns=["prompt", "token_ids"])
    scored = add_likelihoods(model, responses, batch_size=2)
    for (prompt, ids), found in zip(rows, scored["unsteered_logprobs"], strict=True):
        rendered = render_chat(model.tokenizer, [prompt], context=256)
        (expected,) = response_logprobs(model, rendered, [tuple(ids)], batch_size=1)
        assert found == pytest.approx(list(expected), abs=1e-4)


def test_what_a_model_writes_unsteered_it_scores_as_it_wrote_it(tiny_llama):
    model = tiny_llama.model
    prompts = pd.DataFrame([("a", "Hello!"), ("b", "Hm")], columns=["id", "text"])
    requests = base_requests(prompts.assign(source="mine", split="test", label="harmless"))
    options = Decoding(max_new_tokens=8, batch_size=2, scored_batch_size=2)
    table = generate_responses(model, requests, method="none", vectors={}, decoding=options)
    scored = add_likelihoods(model, table, batch_size=2)
    for wrote, found in zip(table["logprobs"], scored["unsteered_logprobs"], strict=True):
        assert found == pytest.approx(wrote, abs=1e-4)
