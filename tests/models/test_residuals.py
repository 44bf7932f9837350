"""Prompts that are shifted at a block: the logits of a whole pass, and what they begin with together is run once."""

from __future__ import annotations

import pytest
import torch

from steering_study.models.batches import left_pad, shared_prefix
from steering_study.models.chat import render_chat
from steering_study.models.hooks import Steering
from steering_study.models.passes import last_logits
from steering_study.models.residuals import Residuals

TEXTS = ["Hello!", "How do I bake bread?", "Tell me a story about the otter and the fox."]


def test_logits_are_those_of_a_whole_pass_at_every_block(tiny):
    prompts = render_chat(tiny.model.tokenizer, TEXTS, context=256)
    assert shared_prefix(prompts) > 2
    shifts = torch.randn(2, tiny.model.card.d_model, generator=torch.Generator().manual_seed(0))
    stream = Residuals(tiny.model, prompts)
    batch = left_pad(prompts, pad=0, device="cpu")
    for layer in range(tiny.model.card.n_layers):
        found = stream.last_logits(shifts)
        for shift, logits in zip(shifts, found, strict=True):
            steering = Steering.uniform(shift, layer=layer, coefficients=[1.0] * len(prompts))
            expected = last_logits(tiny.model, batch, steering=steering)
            torch.testing.assert_close(logits, expected, atol=2e-4, rtol=1e-4)
        stream.advance()


def test_prompts_that_share_nothing_and_a_single_prompt_run_as_well(tiny):
    for prompts in ([(5, 6, 7), (8, 9)], [(5, 6, 7)], [(5,)]):
        stream = Residuals(tiny.model, prompts)
        stream.advance()
        found = stream.last_logits(torch.zeros(1, tiny.model.card.d_model))[0]
        expected = last_logits(tiny.model, left_pad(prompts, pad=0, device="cpu"))
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("prompts", "n"),
    [
        ([(1, 2, 3), (1, 2, 4)], 2),
        ([(1, 2), (1, 2, 3)], 1),
        ([(1, 2), (1, 2)], 1),
        ([(1,), (1, 2)], 0),
        ([(3, 4), (5, 4)], 0),
    ],
)
def test_the_prefix_leaves_a_token_of_each_prompt(prompts, n):
    assert shared_prefix(prompts) == n
