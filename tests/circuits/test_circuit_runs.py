"""Circuits run as docs/circuits.md says: the whole graph is the steered run, the empty one the base run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.circuits.steered_batches import PADDED, steered_batch
from tests.conftest import exact_in_every_family
from tests.reference.patching import run_circuit_slowly

from steering_study.circuits.circuit_runs import measure_circuits, measure_interchange
from steering_study.circuits.paired_runs import forced_runs
from steering_study.circuits.patching import run_patched
from steering_study.circuits.rankings import ranked_circuits
from steering_study.circuits.traces import dense_deltas, source_deltas, whole_rows


@pytest.fixture
def batch(exact):
    return steered_batch(exact, scale=0.5)


def some_circuits(graph):
    scores = np.random.default_rng(0).normal(size=graph.edge_mask.shape)
    return ranked_circuits(graph, scores, [0, 10, 40, 120, graph.n_edges], signed=False)


@exact_in_every_family
def test_whole_graph_is_the_steered_run_and_the_empty_one_the_base_run(batch):
    graph = batch.steered.graph
    (runs,) = forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=2)
    whole = torch.from_numpy(graph.edge_mask)
    with torch.no_grad():
        final = run_patched(
            graph,
            batch.steered.blocks,
            runs.base,
            whole_rows(runs.tail, copies=2),
            shift=runs.shift,
            current=torch.stack([whole, torch.zeros_like(whole)]),
            positions=runs.positions,
        )
    assert torch.allclose(final[0], runs.steer.final, atol=1e-12)
    assert torch.equal(final[1], runs.base.final)
    assert not torch.allclose(final[0], final[1], atol=1e-2)


@exact_in_every_family
def test_circuits_equal_a_run_that_builds_every_input_by_itself(batch):
    graph = batch.steered.graph
    masks = some_circuits(graph)
    (runs,) = forced_runs(batch.steered, batch.prompts, batch.responses, batch_size=2)
    with torch.no_grad():
        final = run_patched(
            graph,
            batch.steered.blocks,
            runs.base,
            whole_rows(runs.tail, copies=len(masks)),
            shift=runs.shift,
            current=torch.from_numpy(masks),
            positions=runs.positions,
        )
        for mask, found in zip(masks, final, strict=True):
            assert torch.allclose(found, run_circuit_slowly(batch.steered, runs, mask), atol=1e-12)


@pytest.mark.parametrize("other", [{"batch_size": 1}, {"max_values": 1}, {"max_values": 4000}], ids=str)
def test_values_do_not_depend_on_batches(tiny, other):
    batch = steered_batch(tiny, scale=0.5, lengths=PADDED)
    masks = some_circuits(batch.steered.graph)
    sizes = {"batch_size": 2, "max_values": 10**8}
    expected = measure_circuits(batch.steered, batch.prompts, batch.responses, masks, **sizes)
    found = measure_circuits(batch.steered, batch.prompts, batch.responses, masks, **{**sizes, **other})
    keys = ["row", "circuit"]
    a, b = (frame.set_index(keys).sort_index() for frame in (expected, found))
    assert np.allclose(a, b.loc[a.index], atol=1e-3)  # float32, sums of up to 40


def test_measured_values_span_base_to_steer(batch):
    masks = some_circuits(batch.steered.graph)
    found = measure_circuits(
        batch.steered, batch.prompts, batch.responses, masks, batch_size=2, max_values=10**8
    )
    ends = found[found["circuit"].isin([0, len(masks) - 1])]
    empty, whole = (ends[ends["circuit"] == i] for i in (0, len(masks) - 1))
    assert np.allclose(empty["value"], empty["base"])
    assert np.allclose(whole["value"], whole["steer"])
    assert (found["n_positions"] > 0).any()
    assert (whole["steer"] > whole["base"]).all()


def single(graph, src, dst):
    mask = np.zeros((1, graph.n_src, graph.n_dst), dtype=bool)
    mask[0, src, dst] = True
    return mask


def test_one_edge_into_the_lm_head_moves_its_input_alone(batch):
    """Nothing propagates: the effect is that of adding the source's change to the last residual."""
    steered = batch.steered
    src = steered.graph.mlp_src(0)
    sets = single(steered.graph, src, steered.graph.lm_head)
    found = interchange(batch, sets)
    (runs,) = forced_runs(steered, batch.prompts, batch.responses, batch_size=2)
    with torch.no_grad():
        metric = runs.metrics(steered.head, ["logit_difference"])["logit_difference"]
        deltas = source_deltas(steered.blocks, runs.base, runs.steer, shift=runs.shift)
        change = dense_deltas(steered.blocks, deltas, slice(None))[:, src, runs.positions]
        expected = metric(steered.head, runs.base.final + change) - metric(steered.head, runs.base.final)
    assert np.allclose(found.loc[runs.rows], expected.sum(-1))


def test_all_edges_together_are_the_steered_run(batch):
    found = interchange(batch, batch.steered.graph.edge_mask[None])
    measured = measure_circuits(
        batch.steered,
        batch.prompts,
        batch.responses,
        batch.steered.graph.edge_mask[None],
        batch_size=2,
        max_values=10**8,
    ).set_index("row")
    assert np.allclose(found, (measured["steer"] - measured["base"]).loc[found.index])


def interchange(batch, sets):
    return measure_interchange(
        batch.steered, batch.prompts, batch.responses, sets, batch_size=2, max_values=10**8
    ).set_index("row")["effect"]
