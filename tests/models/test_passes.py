"""Passes over given texts equal plain transformers, whatever the batch and its padding."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import in_every_family
from tests.models.steered_prompts import with_context

from steering_study.models.batches import left_pad
from steering_study.models.decoding import generate
from steering_study.models.hooks import Steering
from steering_study.models.likelihoods import response_logprobs
from steering_study.models.passes import last_logits, response_batches
from steering_study.vectors.learned import force_responses


def test_given_texts_beyond_the_context_are_refused(tiny_llama, prompts):
    responses = [(7, 8, 9)] * len(prompts)
    fits, lacks = (with_context(tiny_llama.model, max(map(len, prompts)) + n) for n in (3, 2))
    assert response_logprobs(fits, prompts, responses, batch_size=2)
    for score in (
        lambda: response_logprobs(lacks, prompts, responses, batch_size=2),
        lambda: list(response_batches(lacks, prompts, responses, batch_size=2)),
        lambda: force_responses(lacks, prompts, responses, layer=1, batch_size=2),
    ):
        with pytest.raises(ValueError, match="with a response of 3 goes beyond the context"):
            score()


@in_every_family
def test_padding_is_not_steered_and_changes_nothing(tiny, prompts):
    short = min(prompts, key=len)
    vector = torch.randn(tiny.model.card.d_model, generator=torch.Generator().manual_seed(1))
    steering = Steering.uniform(vector, layer=0, coefficients=[2.0])
    alone = last_logits(tiny.model, left_pad([short], pad=0, device="cpu"), steering=steering)
    pair = left_pad([short, max(prompts, key=len)], pad=0, device="cpu")
    both = last_logits(tiny.model, pair, steering=Steering.uniform(vector, layer=0, coefficients=[2.0, 0.0]))
    assert torch.allclose(alone[0], both[0], atol=1e-4)


@in_every_family
def test_bridge_logits_equal_plain_transformers(tiny, prompts):
    batch = left_pad(prompts, pad=0, device="cpu")
    ours = last_logits(tiny.model, batch)
    with torch.no_grad():
        theirs = torch.stack([tiny.plain(torch.tensor([list(p)])).logits[0, -1] for p in prompts])
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors": torch.ones(1, 33)}, "width 33"),
        ({"layers": torch.tensor([4])}, r"outside 0\.\.3"),
        ({"vectors": torch.full((1, 32), torch.nan)}, "NaN"),
    ],
)
def test_steering_that_does_not_fit_is_refused(tiny_llama, change, message):
    parts = {
        "vectors": torch.ones(1, 32),
        "coefficients": torch.ones(1),
        "layers": torch.tensor([0]),
        **change,
    }
    with pytest.raises(ValueError, match=message):
        generate(tiny_llama.model, [(1, 2)], max_new_tokens=2, batch_size=1, steering=Steering(**parts))
