"""Likelihoods of given texts against those of plain passes over prompt and response together."""

import pytest
import torch
from tests.conftest import in_every_family

from steering_study.models.chat import render_chat
from steering_study.models.decoding import generate
from steering_study.models.likelihoods import response_logprobs

TEXTS = ["Hello!", "How do I bake bread?", "Tell me a long story about the otter, please, and about rivers."]
# to which prompt, and what: prompts have several answers, answers several lengths, one of a single token
ASKED = [(0, 5), (1, 1), (0, 12), (2, 3), (0, 1), (2, 9)]


@pytest.fixture
def asked(tiny):
    prompts = render_chat(tiny.model.tokenizer, TEXTS, context=256)
    generator = torch.Generator().manual_seed(4)
    responses = [
        tuple(torch.randint(tiny.model.card.d_vocab, (length,), generator=generator).tolist())
        for _, length in ASKED
    ]
    return [prompts[i] for i, _ in ASKED], responses


def plain_logprobs(plain, prompt, response):
    """One row without cache or padding."""
    ids = torch.tensor([[*prompt, *response]])
    with torch.no_grad():
        logits = plain(ids).logits[0].float().log_softmax(-1)
    return [float(logits[len(prompt) + i - 1, token]) for i, token in enumerate(response)]


@in_every_family
@pytest.mark.parametrize("batch_size", [1, 2, 16])
@pytest.mark.parametrize("max_logits", [1, 2**28])
def test_likelihoods_are_those_of_one_plain_pass_a_text(tiny, asked, batch_size, max_logits):
    prompts, responses = asked
    found = response_logprobs(tiny.model, prompts, responses, batch_size=batch_size, max_logits=max_logits)
    for prompt, response, values in zip(prompts, responses, found, strict=True):
        assert values == pytest.approx(plain_logprobs(tiny.plain, prompt, response), abs=1e-4)


def test_likelihood_of_a_generated_response_equals_the_one_recorded(tiny, asked):
    prompts, _ = asked
    base = generate(tiny.model, prompts, max_new_tokens=12, batch_size=4)
    again = response_logprobs(tiny.model, prompts, [each.token_ids for each in base], batch_size=2)
    for response, values in zip(base, again, strict=True):
        assert values == pytest.approx(response.logprobs, abs=1e-4)


def test_response_without_tokens_is_refused(tiny_llama):
    with pytest.raises(ValueError, match="no tokens"):
        response_logprobs(tiny_llama.model, [(1, 2)], [()], batch_size=1)
