"""KL to the dense vector is that of whole steered runs, one response at a time, and nothing of batches or padding."""

from __future__ import annotations

import pytest
import torch
from tests.circuits.steered_batches import EVEN, LAYER, PADDED, steered_batch
from tests.reference.decoding import predict_slowly
from torch.nn.functional import kl_div

from steering_study.sparsity.divergence import kl_to_dense

SIZES = {"layer": LAYER, "batch_size": 8}
LONG = (*PADDED, (20, 12))


def thinned(dense):
    """The dense vector itself, two sparse ones, and nothing of it."""
    keep = torch.ones(4, len(dense), dtype=dense.dtype)
    keep[1, ::2] = 0
    keep[2, 5:] = 0
    keep[3] = 0
    return keep * dense


def slowly(tiny, batch, dense, sparse, *, layer=LAYER):
    rows = []
    for shift in sparse:
        values = []
        for prompt, response in zip(batch.prompts, batch.responses, strict=True):
            p, q = (
                predict_slowly(tiny.plain, prompt, response, shift=each, layer=layer)
                for each in (dense, shift)
            )
            values.append(kl_div(q, p, log_target=True, reduction="none").sum(-1).mean())
        rows.append(torch.stack(values))
    return torch.stack(rows)


def measure(tiny, batch, dense, sparse, **other):
    return kl_to_dense(tiny.model, batch.prompts, batch.responses, dense, sparse, **{**SIZES, **other})


@pytest.mark.parametrize("layer", [0, 1, 3])
def test_kl_is_that_of_whole_steered_runs(exact, layer):
    batch = steered_batch(exact, scale=2.0, lengths=EVEN)
    dense = batch.steered.shift
    sparse = thinned(dense)
    found = measure(exact, batch, dense, sparse, layer=layer)
    expected = slowly(exact, batch, dense, sparse, layer=layer)
    assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-9)  # stored in float32
    assert (found[1:] > 0.01).all()


def test_kl_of_rows_of_different_lengths_is_that_of_each_alone(tiny):
    batch = steered_batch(tiny, scale=2.0, lengths=LONG)
    dense = batch.steered.shift
    sparse = thinned(dense)
    found = measure(tiny, batch, dense, sparse)
    assert torch.allclose(found, slowly(tiny, batch, dense, sparse), atol=1e-4)  # float32


def test_dense_vector_is_no_nat_from_itself(tiny):
    batch = steered_batch(tiny, scale=2.0, lengths=LONG)
    dense = batch.steered.shift
    found = measure(tiny, batch, dense, thinned(dense))
    assert torch.allclose(found[0], torch.zeros(3), atol=1e-6)
    assert (found[1:] > 0.01).all()


def test_kl_is_that_from_dense_to_sparse(exact):
    """It is not symmetric: the texts are the dense vector's. The test against whole runs sees the direction."""
    batch = steered_batch(exact, scale=2.0, lengths=EVEN)
    dense = batch.steered.shift
    there, back = (
        slowly(exact, batch, a, b[None])
        for a, b in ((dense, torch.zeros_like(dense)), (torch.zeros_like(dense), dense))
    )
    assert not torch.allclose(there, back, rtol=1e-3)


@pytest.mark.parametrize("other", [{"batch_size": 1}, {"batch_size": 2}, {"max_logits": 1}], ids=str)
def test_kl_does_not_depend_on_batches(tiny, other):
    batch = steered_batch(tiny, scale=2.0, lengths=LONG)
    dense = batch.steered.shift
    found = measure(tiny, batch, dense, thinned(dense), **other)
    assert torch.allclose(found, measure(tiny, batch, dense, thinned(dense)), atol=1e-4)  # float32


def test_each_vector_is_measured_by_itself(tiny_llama):
    batch = steered_batch(tiny_llama, scale=2.0, lengths=LONG)
    dense = batch.steered.shift
    together = measure(tiny_llama, batch, dense, thinned(dense))
    alone = [measure(tiny_llama, batch, dense, each[None])[0] for each in thinned(dense)]
    assert torch.equal(together, torch.stack(alone))
