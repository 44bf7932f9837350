"""Scores are what EAP-IG defines, complete along the path, and independent of how they are computed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tests.circuits.steered_batches import PADDED, SteeredBatch, steered_batch
from tests.conftest import exact_in_every_family

from steering_study.circuits import paired_runs as forced
from steering_study.circuits.attribution import Budget, attribute, attribute_responses, quadrature
from steering_study.circuits.circuit_runs import measure_interchange
from steering_study.circuits.metrics import METRICS
from steering_study.circuits.paired_runs import forced_runs


def scores_of(batch, *, metrics=("logit_difference",), rule=None, tokens_per_pass=200, max_values=10**7):
    """Scores by each metric."""
    return attribute_responses(
        batch.steered,
        batch.prompts,
        batch.responses,
        metrics=metrics,
        rule=rule or quadrature("gauss", 8),
        budget=Budget(tokens_per_pass, max_values),
    )


@pytest.mark.parametrize("name", METRICS)
def test_scores_out_of_the_steering_node_add_up_to_the_change(exact, name):
    batch = steered_batch(exact, scale=0.5)
    scores = scores_of(batch, metrics=(name,), rule=quadrature("gauss", 24))[name]
    assert scores.n_positions.sum() > 0 or name in ("kl_1", "kl_5")
    assert torch.allclose(scores.edges[:, 0].sum(-1), scores.change, rtol=1e-4, atol=1e-8)
    assert torch.allclose(scores.dimensions.sum(-1), scores.change, rtol=1e-4, atol=1e-8)


def test_midpoint_rule_converges_to_the_change(tiny_llama):
    batch = steered_batch(tiny_llama, scale=1.0)
    gaps = []
    for steps in (2, 8, 32):
        scores = scores_of(batch, rule=quadrature("midpoint", steps))["logit_difference"]
        gaps.append(float((scores.edges[:, 0].sum(-1) - scores.change).abs().sum()))
    assert gaps[0] > gaps[1] > gaps[2]


@exact_in_every_family
@pytest.mark.parametrize("src_kind", ["resid_steer", "attn_head", "mlp"])
def test_scores_equal_single_edge_interchange_for_a_tiny_vector(exact, src_kind):
    batch = steered_batch(exact, scale=1e-5)
    steered = batch.steered
    graph = steered.graph
    original = forced.metric_of

    def contrast(
        name, base, steer, *, is_response
    ):  # the runs agree on every token: contrast the two most likely
        metric = original(name, base, steer, is_response=is_response)
        return type(metric)(base.topk(2, dim=-1).indices, is_response)

    edges = np.stack(graph.edges, axis=1)
    edges = edges[graph.src_kinds[edges[:, 0]] == src_kind]
    single = np.zeros((len(edges), graph.n_src, graph.n_dst), dtype=bool)
    single[np.arange(len(edges)), *edges.T] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forced, "metric_of", contrast)
        scores = scores_of(batch)["logit_difference"]
        effects = measure_interchange(
            steered, batch.prompts, batch.responses, single, batch_size=2, max_values=10**7
        )
    assert set(graph.dst_kinds[edges[:, 1]]) == {"attn_q", "attn_k", "attn_v", "mlp", "lm_head"}
    exactly = effects.pivot(index="row", columns="set", values="effect").to_numpy()
    estimates = scores.edges[:, edges[:, 0], edges[:, 1]].numpy()
    largest = np.abs(exactly).max()
    assert largest > 0
    # second order in a vector of norm 6e-5
    assert np.allclose(estimates, exactly, rtol=2e-3, atol=1e-4 * largest)


WAYS = [
    {"tokens_per_pass": 1},  # one response and one step a pass
    {"tokens_per_pass": 40},  # some steps of one response
    {"tokens_per_pass": 10**4},  # all steps of all responses
    {"max_values": 1},  # one position at a time
    {"metrics": ("kl_0", "logit_difference")},
]


@pytest.mark.parametrize("other", WAYS, ids=str)
def test_scores_do_not_depend_on_how_they_are_computed(exact, other):
    batch = steered_batch(exact, scale=0.5)
    compare(scores_of(batch), scores_of(batch, **other), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("other", WAYS, ids=str)
def test_scores_do_not_depend_on_padding(tiny, other):
    batch = steered_batch(tiny, scale=0.5, lengths=PADDED)
    compare(scores_of(batch), scores_of(batch, **other), rtol=1e-3, atol=1e-4)  # float32


def test_scores_do_not_depend_on_order(tiny):
    batch = steered_batch(tiny, scale=0.5, lengths=PADDED)
    turned = SteeredBatch(batch.steered, batch.prompts[::-1], batch.responses[::-1])
    expected = {name: each.select(torch.tensor([1, 0])) for name, each in scores_of(batch).items()}
    compare(expected, scores_of(turned), rtol=1e-3, atol=1e-4)


def compare(expected, found, **accuracy):
    for metric, scores in expected.items():
        for name, value in vars(scores).items():
            assert torch.allclose(vars(found[metric])[name], value, **accuracy), name


@exact_in_every_family
def test_readers_of_a_group_share_its_keys_and_values(exact):
    """The gradient at a key-value head is the sum over the query heads that it serves."""
    batch = steered_batch(exact, scale=0.5)
    (runs,) = forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=2)
    graph = batch.steered.graph
    group = graph.n_heads // graph.n_kv_heads
    settings = {
        "metrics": ("logit_difference",),
        "rule": quadrature("gauss", 4),
        "steps_per_pass": 4,
        "max_values": 10**7,
    }
    grouped = attribute(batch.steered, runs, **settings)["logit_difference"].edges
    wide = type(graph)(graph.n_layers, graph.layer, graph.n_heads, graph.n_heads)
    ungrouped = dataclasses.replace(batch.steered)
    vars(ungrouped).update(
        graph=wide, blocks=ungroup(batch.steered.blocks, group)
    )  # in place of the cached ones
    split = attribute(ungrouped, runs, **settings)["logit_difference"].edges
    for block in range(graph.n_blocks):
        for kind in ("attn_k", "attn_v"):
            summed = split[:, :, wide.dst(block, kind)].unflatten(2, (graph.n_kv_heads, group)).sum(-1)
            assert torch.allclose(summed, grouped[:, :, graph.dst(block, kind)], rtol=1e-9, atol=1e-11)


def ungroup(blocks, group):
    """The same blocks with a key-value head a query head."""

    def repeat(x):
        return None if x is None else x.repeat_interleave(group, dim=0)

    names = ("W_K", "W_V", "b_K", "b_V")
    return tuple(
        dataclasses.replace(block, **{name: repeat(getattr(block, name)) for name in names})
        for block in blocks
    )


def test_quadrature_weights_sum_to_one_and_gauss_is_exact():
    for rule in ("midpoint", "gauss"):
        assert sum(quadrature(rule, 5).weights) == pytest.approx(1)
    gauss = quadrature("gauss", 3)
    assert sum(w * x**5 for x, w in zip(gauss.nodes, gauss.weights, strict=True)) == pytest.approx(1 / 6)
    assert quadrature("midpoint", 4).nodes == (0.125, 0.375, 0.625, 0.875)


def test_unknown_quadrature_is_refused():
    with pytest.raises(ValueError, match="midpoint or gauss"):
        quadrature("left", 5)
