"""Scores are what EAP-IG defines, complete along the path, and independent of how they are computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.steering_study.steered_batches import PADDED, steered_batch

from steering_study import attribution
from steering_study.attribution import attribute, quadrature
from steering_study.faithfulness import forced_runs, measure_edges
from steering_study.metrics import METRICS


def scores_of(
    batch, *, metrics=("logit_difference",), rule=None, batch_size=2, steps_per_pass=4, max_elements=10**7
):
    """Edge, dimension and completeness sums of each response, in the order of the responses."""
    found = {}
    steered = batch.steered
    for runs in forced_runs(steered, batch.prompts, batch.responses, batch_size=batch_size):
        scores = attribute(
            steered.graph,
            steered.blocks,
            steered.head,
            runs.tail,
            shift=runs.shift,
            is_response=runs.is_response,
            metrics=metrics,
            rule=rule or quadrature("gauss", 8),
            steps_per_pass=steps_per_pass,
            max_elements=max_elements,
        )
        for name, each in scores.items():
            for i, row in enumerate(runs.rows):
                found[name, row] = {key: value[i] for key, value in vars(each).items()}
    return found


@pytest.mark.parametrize("name", METRICS)
def test_scores_out_of_the_steering_node_add_up_to_the_change(exact, name):
    batch = steered_batch(exact, scale=0.5)
    scores = scores_of(batch, metrics=(name,), rule=quadrature("gauss", 24))
    assert any(found["n_positions"] > 0 for found in scores.values()) or name in ("kl_1", "kl_5")
    for found in scores.values():
        assert torch.allclose(found["edges"][0].sum(), found["change"], rtol=1e-4, atol=1e-8)
        assert torch.allclose(found["dimensions"].sum(), found["change"], rtol=1e-4, atol=1e-8)


def test_midpoint_rule_converges_to_the_change(tiny_llama):
    batch = steered_batch(tiny_llama, scale=1.0)
    gaps = []
    for steps in (2, 8, 32):
        found = scores_of(batch, rule=quadrature("midpoint", steps))
        gaps.append(sum(abs(float(f["edges"][0].sum() - f["change"])) for f in found.values()))
    assert gaps[0] > gaps[1] > gaps[2]


@pytest.mark.parametrize("src_kind", ["resid_steer", "attn_head", "mlp"])
def test_scores_equal_single_edge_interchange_for_a_tiny_vector(exact, src_kind):
    batch = steered_batch(exact, scale=1e-5)
    steered = batch.steered
    graph = steered.graph
    original = attribution.metric_of

    def contrast(
        name, base, steer, *, is_response
    ):  # the runs agree on every token: contrast the two most likely
        metric = original(name, base, steer, is_response=is_response)
        return type(metric)(base.topk(2, dim=-1).indices, is_response)

    edges = np.stack(graph.edges, axis=1)
    edges = edges[graph.src_kinds[edges[:, 0]] == src_kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attribution, "metric_of", contrast)
        patch.setattr(
            "steering_study.faithfulness.logit_difference",
            lambda *a, **k: contrast("logit_difference", *a, **k),
        )
        scores = scores_of(batch)
        effects = measure_edges(
            steered, batch.prompts, batch.responses, edges, batch_size=2, max_elements=10**7
        )
    exactly = effects.set_index(["row", "edge"])["effect"]
    estimates = {
        (row, i): float(found["edges"][s, d])
        for (_, row), found in scores.items()
        for i, (s, d) in enumerate(edges)
    }
    assert {graph.dst_kinds[d] for _, d in edges} >= {"attn_q", "attn_k", "attn_v", "mlp", "lm_head"}
    largest = exactly.abs().max()
    assert largest > 0
    for key, estimate in estimates.items():
        # second order in a vector of norm 6e-5
        assert estimate == pytest.approx(exactly[key], rel=2e-3, abs=1e-4 * largest)


WAYS = [
    {"batch_size": 1},
    {"steps_per_pass": 1},
    {"steps_per_pass": 8},
    {"max_elements": 1},
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


def compare(expected, found, **accuracy):
    for key, scores in expected.items():
        for name, value in scores.items():
            assert torch.allclose(found[key][name], value, **accuracy), name


def test_readers_of_a_group_share_its_keys_and_values(exact):
    """The gradient at a key-value head is the sum over the query heads that it serves."""
    batch = steered_batch(exact, scale=0.5)
    (runs,) = forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=2)
    graph, card = batch.steered.graph, exact.model.card
    assert card.n_heads // card.n_kv_heads == 2
    ungrouped = ungroup(batch.steered.blocks)
    settings = {
        "shift": runs.shift,
        "is_response": runs.is_response,
        "metrics": ("logit_difference",),
        "rule": quadrature("gauss", 4),
        "steps_per_pass": 4,
        "max_elements": 10**7,
    }
    head = batch.steered.head
    grouped = attribute(graph, batch.steered.blocks, head, runs.tail, **settings)["logit_difference"].edges
    wide = type(graph)(graph.n_layers, graph.layer, graph.n_heads, graph.n_heads)
    split = attribute(wide, ungrouped, head, runs.tail, **settings)["logit_difference"].edges
    for block in range(graph.n_blocks):
        for kind in ("attn_k", "attn_v"):
            summed = split[:, :, wide.dst(block, kind)].unflatten(2, (graph.n_kv_heads, 2)).sum(-1)
            assert torch.allclose(summed, grouped[:, :, graph.dst(block, kind)], rtol=1e-9, atol=1e-11)


def ungroup(blocks):
    """The same blocks with a key-value head a query head."""
    import dataclasses

    def repeat(x):
        return None if x is None else x.repeat_interleave(2, dim=0)

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
