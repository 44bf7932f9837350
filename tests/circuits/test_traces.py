"""A block written out equals the library's, in every family."""

from __future__ import annotations

import pytest
import torch
from tests.circuits.steered_batches import PADDED, steered_batch
from tests.conftest import in_every_family

from steering_study.circuits.paired_runs import forced_runs
from steering_study.circuits.traces import dense_deltas, source_deltas
from steering_study.models.blocks import causal_mask, head_outputs, scaled_z
from steering_study.models.weights import read_blocks


@pytest.fixture
def batch(tiny):
    return steered_batch(tiny, scale=0.5, lengths=PADDED)


def runs_of(batch, batch_size=2):
    return next(forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=batch_size))


@in_every_family
def test_logits_equal_those_of_the_model(tiny, batch):
    runs = runs_of(batch)
    for i, row in enumerate(runs.rows):
        ids = torch.tensor([[*batch.prompts[row], *batch.responses[row]]])
        with torch.no_grad():
            expected = tiny.plain(ids).logits[0, -len(batch.responses[row]) - 1 : -1]
        found = batch.steered.head.logits(runs.base.final[i])[-len(batch.responses[row]) :]
        assert torch.allclose(found, expected, rtol=0, atol=1e-5)  # float32, logits up to 8


@in_every_family
def test_steered_run_is_the_tail_under_the_shift(batch):
    runs = runs_of(batch)
    expected = runs.tail.run(runs.tail.resid_pre + runs.shift, last=runs.is_response.shape[1] + 1)[:, :-1]
    assert torch.allclose(batch.steered.head.logits(runs.steer.final), expected, atol=2e-5)
    assert not torch.allclose(runs.steer.final, runs.base.final, atol=1e-2)


@in_every_family
def test_sources_add_up_to_the_change_of_the_residual(batch):
    runs = runs_of(batch)
    deltas = source_deltas(batch.steered.blocks, runs.base, runs.steer, shift=runs.shift)
    dense = dense_deltas(batch.steered.blocks, deltas, slice(None))
    total = dense.sum(1)[:, runs.positions]
    assert torch.allclose(total, runs.steer.final - runs.base.final, atol=1e-4)


def test_some_heads_are_those_of_all(batch):
    runs = runs_of(batch)
    block, z = batch.steered.blocks[0], scaled_z(batch.steered.blocks[0], runs.base.blocks[0].z)
    some = head_outputs(block, z, heads=torch.tensor([2, 0]))
    assert torch.allclose(some, head_outputs(block, z)[[2, 0]], atol=1e-6)


@in_every_family
def test_causal_mask_is_that_of_the_library(tiny, batch):
    runs = runs_of(batch)
    lengths = [len(batch.prompts[i]) + len(batch.responses[i]) for i in runs.rows]
    width = runs.tail.resid_pre.shape[1]
    seen = torch.arange(width)[None] >= width - torch.tensor(lengths)[:, None]
    for block, arguments in zip(read_blocks(tiny.model, layer=1), runs.tail.arguments, strict=True):
        mask = causal_mask(seen.long(), n_queries=width, window=block.window)
        expected = arguments["attention_mask"] < 0
        assert ((mask < 0) == expected)[seen[:, None].expand_as(mask[..., 0])].all()


WINDOWS = {
    "Gemma2ForCausalLM": [8, None, 8, None],
    "Qwen2ForCausalLM": [None, None, 8, 8],
    "MistralForCausalLM": [8] * 4,
    "Phi3ForCausalLM": [8] * 4,
}


@in_every_family
def test_the_blocks_of_a_family_that_slide_do(tiny):
    windows = [block.window for block in read_blocks(tiny.model, layer=0)]
    assert windows == WINDOWS.get(type(tiny.plain).__name__, [None] * 4)
