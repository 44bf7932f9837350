"""Running from a block on equals running the whole model."""

from __future__ import annotations

import pytest
import torch

from steering_study.models.batches import left_pad
from steering_study.models.chat import render_chat
from steering_study.models.hooks import Steering
from steering_study.models.passes import last_logits
from steering_study.models.tails import record_tail

TEXTS = ["Hello!", "How do I bake bread?", "Tell me a long story about the otter, please, and about rivers."]


@pytest.fixture
def batch(tiny):
    return left_pad(render_chat(tiny.model.tokenizer, TEXTS, context=256), pad=0, device="cpu")


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_tail_under_a_shift_equals_the_steered_model(tiny, batch, layer, batch_size):
    vector = torch.randn(tiny.model.card.d_model, generator=torch.Generator().manual_seed(0))
    tail = record_tail(tiny.model, batch, layer=layer, batch_size=batch_size)
    found = tail.run(tail.resid_pre + vector, last=1)[:, 0]
    steering = Steering.uniform(vector, layer=layer, coefficients=[1.0] * len(TEXTS))
    assert torch.allclose(found, last_logits(tiny.model, batch, steering=steering), atol=1e-4)


def test_selected_rows_are_those_rows(tiny, batch):
    tail = record_tail(tiny.model, batch, layer=1, batch_size=2)
    whole = tail.run(tail.resid_pre, last=2)
    rows = torch.tensor([2, 0, 0])
    some = tail.select(rows)
    assert torch.allclose(some.run(some.resid_pre, last=2), whole[rows], atol=1e-5)


def test_blocks_below_the_layer_do_not_run(tiny, batch):
    tail = record_tail(tiny.model, batch, layer=2, batch_size=3)
    ran: list[int] = []
    handles = [
        block.register_forward_pre_hook(lambda module, args, i=i: ran.append(i))
        for i, block in enumerate(tiny.model.bridge.blocks)
    ]
    tail.run(tail.resid_pre, last=1)
    for handle in handles:
        handle.remove()
    assert ran == [2, 3]


def test_recording_leaves_no_hook_behind(tiny, batch):
    record_tail(tiny.model, batch, layer=1, batch_size=3)
    assert not any(block._forward_pre_hooks for block in tiny.model.bridge.blocks)


def test_layer_outside_the_model_is_refused(tiny, batch):
    with pytest.raises(ValueError, match=r"layer=4 is outside 0\.\.3"):
        record_tail(tiny.model, batch, layer=4, batch_size=3)
