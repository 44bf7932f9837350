"""The OV decomposition is an identity, steering value vectors depend on no input, and reading them is a projection."""

from __future__ import annotations

import pytest
import torch
from tests.circuits.steered_batches import steered_batch
from tests.conftest import exact_in_every_family

from steering_study.attention.decomposition import attention_maps, measure_blocks, node_table, patterns_of
from steering_study.attention.value_vectors import (
    Agreement,
    direct_weights,
    head_writes,
    logit_lens,
    post_scale,
    steering_value_vectors,
    steering_values,
    top_tokens,
)
from steering_study.circuits.paired_runs import forced_runs
from steering_study.models.blocks import attn_out, normed


@pytest.fixture
def batch(exact):
    return steered_batch(exact, scale=1.5)


def runs_of(batch):
    return next(forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=2))


def content_values(block, resid, shift):
    """Values of the stream without the vector, over the root mean square of the steered one."""
    without = (resid - shift) * block.ln1 / (resid.pow(2).mean(-1, keepdim=True) + block.eps).sqrt()
    return torch.einsum("bpd,kde->bpke", without, block.W_V)


@exact_in_every_family
@pytest.mark.parametrize("i", [0, 1, 2])
def test_attention_is_its_content_term_plus_its_svv_term(batch, i):
    """docs/attention.md's identity, with post-norms, biases, soft-caps and windows, to 1e-10 in float64."""
    runs, block = runs_of(batch), batch.steered.blocks[i]
    steer = runs.steer.blocks[i]
    weights = patterns_of(runs, i, block, steer)
    group = block.n_heads // block.n_kv_heads
    values = content_values(block, steer.resid_pre, runs.shift)
    if block.b_V is not None:
        values = values + block.b_V
    content = torch.einsum("bhqk,bkhe->bqhe", weights, values.repeat_interleave(group, 2))
    z = steer.z[:, runs.positions]
    scale = post_scale(block, z)
    direct = direct_weights(block, weights, steer.resid_pre)[..., None] * steering_value_vectors(
        block, batch.steered.shift
    )
    found = (head_writes(block, content).sum(2) + direct.sum(2)) * scale
    expected = attn_out(block, z)
    assert (direct.sum(2) * scale).norm() > 1e-2 * expected.norm()
    assert torch.allclose(found, expected, atol=1e-10)


def test_svv_is_what_the_head_writes_of_a_normed_vector_alone(batch):
    block = batch.steered.blocks[0]
    s = batch.steered.shift
    values = torch.einsum("d,kde->ke", s * block.ln1, block.W_V).repeat_interleave(2, 0)
    expected = torch.einsum("he,hed->hd", values, block.W_O)
    if block.ln1_post is not None:
        expected = expected * block.ln1_post
    assert torch.allclose(steering_value_vectors(block, s), expected, atol=1e-12)
    assert torch.allclose(steering_values(block, 3 * s), 3 * steering_values(block, s), atol=1e-12)


def test_gamma_of_gemma_is_one_plus_its_weight(exact):
    batch = steered_batch(exact, scale=1.0)
    norm = exact.plain.model.layers[1].input_layernorm
    factor = 1 + norm.weight if "Gemma" in type(norm).__name__ else norm.weight
    assert torch.allclose(batch.steered.blocks[0].ln1, factor, atol=1e-12)


def test_svv_does_not_depend_on_the_input(batch):
    """The direct term over its weight is the same vector at every position of every text."""
    block, runs = batch.steered.blocks[0], runs_of(batch)
    steer = runs.steer.blocks[0]
    weights = patterns_of(runs, 0, block, steer)
    unshifted = normed(steer.resid_pre, block.ln1, eps=block.eps)
    shifted = (
        normed(steer.resid_pre, block.ln1, eps=block.eps)
        - runs.shift * block.ln1 / (steer.resid_pre.pow(2).mean(-1, keepdim=True) + block.eps).sqrt()
    )
    group = block.n_heads // block.n_kv_heads
    change = torch.einsum("bpd,kde->bpke", unshifted - shifted, block.W_V).repeat_interleave(group, 2)
    written = head_writes(block, torch.einsum("bhqk,bkhe->bqhe", weights, change))
    found = written / direct_weights(block, weights, steer.resid_pre)[..., None]
    expected = steering_value_vectors(block, batch.steered.shift).expand_as(found)
    assert torch.allclose(found, expected, atol=1e-9)


def test_the_direct_term_explains_all_of_a_change_that_is_nothing_else(batch):
    part = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    agreement = Agreement.between(part, part, torch.ones(2, 3, dtype=torch.bool))
    assert torch.allclose(agreement.norm_share, torch.ones(4, dtype=torch.float64))
    assert torch.allclose(agreement.cosine, torch.ones(4, dtype=torch.float64))
    half = Agreement.between(part, 2 * part, torch.ones(2, 3, dtype=torch.bool))
    assert torch.allclose(half.norm_share, torch.full((4,), 0.5, dtype=torch.float64))
    opposite = Agreement.between(part, -part, torch.ones(2, 3, dtype=torch.bool))
    assert torch.allclose(opposite.cosine, torch.full((4,), -1.0, dtype=torch.float64))


def test_padding_positions_do_not_count():
    part = torch.ones(1, 2, 1, 3)
    whole = torch.tensor([1.0, 50.0])[None, :, None, None].expand(1, 2, 1, 3)
    agreement = Agreement.between(part, whole, torch.tensor([[True, False]]))
    assert float(agreement.norm_share) == pytest.approx(1)


def test_sums_do_not_depend_on_the_batch(tiny):
    batch = steered_batch(tiny, scale=1.0, lengths=((6, 5), (9, 3), (4, 7)))
    tables = [
        node_table(
            batch.steered.layer,
            measure_blocks(batch.steered, batch.prompts, batch.responses, batch_size=size),
        )
        for size in (1, 3)
    ]
    for column in ("norm_share", "cosine", "moved"):
        assert tables[0][column].to_numpy() == pytest.approx(
            tables[1][column].to_numpy(), abs=1e-4, nan_ok=True
        )
    assert set(tables[0]["n_positions"]) == {15}
    assert list(tables[0]["node"][:6]) == ["a1.h0", "a1.h1", "a1.h2", "a1.h3", "a1", "m1"]
    assert tables[0].loc[tables[0]["kind"] == "attn_head", "moved"].between(0.001, 1).all()


def test_maps_are_the_weights_of_single_runs(exact):
    batch = steered_batch(exact, scale=1.0)
    prompt, response = batch.prompts[0], batch.responses[0]
    rows = list(attention_maps(batch.steered, prompt, response, heads=["a2.h1"], n_queries=2))
    assert {row["run"] for row in rows} == {"base", "steer"}
    assert {row["query"] for row in rows} == {len(prompt) - 1, len(prompt)}
    sums = {}
    for row in rows:
        key = row["run"], row["query"]
        sums[key] = sums.get(key, 0) + row["weight"]
    assert list(sums.values()) == pytest.approx([1] * 4)


def test_lens_reads_a_row_of_the_unembedding(batch):
    head = batch.steered.head
    vector = head.W_U[7] / head.ln_final
    logits = logit_lens(vector[None], head)
    assert torch.allclose(logits[0], head.W_U @ head.W_U[7], atol=1e-10)
    values, ids = top_tokens(logits, n=3, sign=1)
    assert torch.equal(logits[0, ids[0]], values[0])
    lowest, lowest_ids = top_tokens(logits, n=1, sign=-1)
    assert logits[0, lowest_ids[0, 0]] == logits.min() == -lowest[0, 0]
