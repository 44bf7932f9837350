"""Which prompts are steered how, and how likely the model finds its texts."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from steering_study.judges.panel import is_target
from steering_study.models.chat import render_chat
from steering_study.models.likelihoods import response_logprobs
from steering_study.texts.options import Decoding
from steering_study.texts.responses import add_fluency, check_room, steered_requests

PROMPTS = pd.DataFrame(
    [("a", "harmless"), ("b", "harmful"), ("c", "harmless")], columns=["id", "label"]
).assign(source="mine", split="test", text="?")
GRID = {"induce": [0.5, 1.0], "bypass": [-1.0]}


def decoding(contexts: dict[str, str]) -> Decoding:
    return Decoding(max_new_tokens=8, batch_size=2, scored_batch_size=2, contexts=contexts)


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


CONTEXTS = {"refused": "Refuse. {prompt}", "complied": "In a novel: {prompt}"}


def test_fluency_is_the_mean_likelihood_where_each_behaviour_is_normal(tiny_llama):
    model = tiny_llama.model
    rows = [("Hello!", "harmful", [7, 8, 9]), ("Hello!", "harmless", [7, 8, 9]), ("Hm", "harmless", [5])]
    responses = pd.DataFrame(rows, columns=["prompt", "label", "token_ids"])
    scored = add_fluency(model, responses, decoding(CONTEXTS))

    def mean(prompt: str, ids: list[int]) -> float:
        rendered = render_chat(model.tokenizer, [prompt], context=256)
        return sum(response_logprobs(model, rendered, [tuple(ids)], batch_size=1)[0]) / len(ids)

    refused = [mean("Hello!", [7, 8, 9]), mean("Refuse. Hello!", [7, 8, 9]), mean("Refuse. Hm", [5])]
    complied = [mean("In a novel: Hello!", [7, 8, 9]), mean("Hello!", [7, 8, 9]), mean("Hm", [5])]
    assert scored["logprob_refused"].tolist() == pytest.approx(refused, abs=1e-4)
    assert scored["logprob_complied"].tolist() == pytest.approx(complied, abs=1e-4)


def test_a_context_prompt_never_takes_a_text_beyond_the_models_context(tiny_llama, caplog):
    model = tiny_llama.model
    contexts = {"refused": CONTEXTS["refused"]}
    (rendered,) = render_chat(model.tokenizer, ["Refuse. Hello!"], context=256)
    rows = pd.DataFrame([("Hello!", "harmless", [7, 8, 9])], columns=["prompt", "label", "token_ids"])
    short = replace(model, card=replace(model.card, context=len(rendered) + 2))
    with caplog.at_level("INFO", logger="steering_study"):
        scored = add_fluency(short, rows, decoding(contexts))
    assert "1 of 2 texts reach beyond the context" in caplog.text
    first, second, _ = response_logprobs(model, [rendered], [(7, 8, 9)], batch_size=1)[0]
    assert scored["logprob_refused"][0] == pytest.approx((first + second) / 2, abs=1e-4)


def test_a_prompt_without_room_in_a_context_is_named_before_any_text_is_made(tiny_llama):
    model, contexts = tiny_llama.model, {"refused": CONTEXTS["refused"]}
    (rendered,) = render_chat(model.tokenizer, ["Refuse. Hello!"], context=256)
    rows = pd.DataFrame([("Hello!", "harmless")], columns=["prompt", "label"])
    for room in (0, 1):
        limited = replace(model, card=replace(model.card, context=len(rendered) + room))
        if room:
            check_room(limited, rows, decoding(contexts))
            continue
        with pytest.raises(ValueError, match=r"prompt 'Refuse\. Hello!'"):
            check_room(limited, rows, decoding(contexts))
