"""Neurons' scores add up to their MLP's, and equal putting single neurons in for a tiny vector."""

from __future__ import annotations

import pytest
import torch
from tests.circuits.steered_batches import PADDED, steered_batch

from steering_study.attention.neurons import neuron_scores, scaled_neurons
from steering_study.circuits.attribution import Budget, attribute_responses, quadrature
from steering_study.circuits.paired_runs import forced_runs
from steering_study.models.blocks import mlp_out


def scores_of(batch, rule):
    parts, rows = [], []
    for runs in forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=1):
        parts.append(neuron_scores(batch.steered, runs, metric="logit_difference", rule=rule))
        rows += runs.rows
    return torch.cat(parts)[torch.tensor(rows).argsort()]


def test_neurons_add_up_to_the_node_of_their_mlp(exact):
    """A node's score is the sum of its outgoing edges': the gradient at its output is that of all that reads it."""
    batch, rule = steered_batch(exact, scale=0.8), quadrature("midpoint", 4)
    neurons = scores_of(batch, rule)
    edges = attribute_responses(
        batch.steered,
        batch.prompts,
        batch.responses,
        metrics=["logit_difference"],
        rule=rule,
        budget=Budget(200, 10**7),
    )["logit_difference"].edges
    graph = batch.steered.graph
    for i in range(graph.n_blocks):
        node = edges[:, graph.mlp_src(i)].sum(-1)
        assert node.abs().sum() > 0
        assert torch.allclose(neurons[:, i].sum(-1), node.to(neurons), rtol=1e-8, atol=1e-9)


def test_neurons_write_what_their_mlp_writes(exact):
    batch = steered_batch(exact, scale=1.0)
    (runs,) = forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=2)
    block, resid = batch.steered.blocks[1], runs.steer.blocks[1].mlp_in
    W_out = block.W_out if block.ln2_post is None else block.W_out * block.ln2_post
    assert torch.allclose(scaled_neurons(block, resid) @ W_out, mlp_out(block, resid), atol=1e-10)


@pytest.mark.parametrize("steps", [1, 3])
def test_padding_and_batches_do_not_count(tiny, steps):
    batch, rule = steered_batch(tiny, scale=0.5, lengths=PADDED), quadrature("midpoint", steps)
    one_by_one = scores_of(batch, rule)
    (runs,) = forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=2)
    together = neuron_scores(batch.steered, runs, metric="logit_difference", rule=rule)
    assert torch.allclose(together, one_by_one[torch.tensor(runs.rows)], atol=2e-4)
