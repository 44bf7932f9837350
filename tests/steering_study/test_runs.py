"""Greedy decoding: cached = uncached = batched = single, steered row by row; likelihoods of given texts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.conftest import in_every_family
from tests.reference.decoding import decode_slowly

from steering_study.hooks import Steering
from steering_study.prompts import left_pad, render_chat
from steering_study.runs import generate, last_logits

TEXTS = [
    "Hello!",
    "How do I bake bread?",
    "Tell me a long story about the otter, please, and about rivers.",
    "Hm",
    "How do I bake bread?",
]
N_NEW = 12


@pytest.fixture
def prompts(tiny):
    return render_chat(tiny.model.tokenizer, TEXTS, context=256)


@pytest.fixture
def steering(tiny):
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(len(TEXTS), tiny.model.card.d_model, generator=generator)
    return Steering(vectors, torch.tensor([0.0, 1.5, -2.0, 0.7, -1.0]), torch.tensor([1, 1, 3, 2, 1]))


def tokens(responses):
    return [list(response.token_ids) for response in responses]


@in_every_family
def test_batched_cached_decoding_equals_plain_decoding_without_cache(tiny, prompts, steering):
    fast = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    slow = [
        decode_slowly(
            tiny.plain,
            prompt,
            vector=steering.vectors[i],
            coefficient=float(steering.coefficients[i]),
            layer=int(steering.layers[i]),
            max_new_tokens=N_NEW,
            end_ids=tiny.model.card.end_of_turn_ids,
        )
        for i, prompt in enumerate(prompts)
    ]
    assert tokens(fast) == slow


def test_result_does_not_depend_on_the_batch(tiny, prompts, steering):
    together = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    alone = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=1, steering=steering)
    assert tokens(together) == tokens(alone)
    for one, other in zip(together, alone, strict=True):
        # float32: sums in another order
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_steering_changes_every_steered_row_and_no_other(tiny, prompts, steering):
    base = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=5)
    steered = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    changed = [a.logprobs != pytest.approx(b.logprobs, abs=1e-4) for a, b in zip(base, steered, strict=True)]
    assert changed == [False, True, True, True, True]


def test_rows_that_end_early_leave_the_others_as_they_were(tiny, prompts, steering):
    def ending_at(token):
        card = replace(tiny.model.card, end_of_turn_ids=(token,))
        return replace(tiny.model, card=card)

    never = tiny.model.card.d_vocab
    full = generate(ending_at(never), prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    # End the text at a token that some rows write soon: they leave the batch while others go on.
    end = full[1].token_ids[2]
    short = generate(ending_at(end), prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    for whole, cut in zip(full, short, strict=True):
        n = len(cut.token_ids)
        assert whole.token_ids[:n] == cut.token_ids
        assert cut.finished == (cut.token_ids[-1] == end)
    assert any(response.finished for response in short)


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
