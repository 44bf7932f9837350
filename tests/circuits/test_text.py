"""Text under a circuit: the whole graph gives steered text, the empty one base text, any other that of slow decoding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.reference.patching import run_circuit_slowly

from steering_study.circuits.graph import Graph
from steering_study.circuits.paired_runs import SteeredModel, forced_runs
from steering_study.circuits.rankings import ranked_circuits
from steering_study.circuits.text import generate_patched
from steering_study.models.decoding import generate
from steering_study.models.hooks import Steering

N_NEW = 12  # beyond Gemma's window of 8
LENGTHS = (12, 5, 20)


@pytest.fixture
def prompts(tiny):
    generator = torch.Generator().manual_seed(0)
    return [
        tuple(torch.randint(0, tiny.model.card.d_vocab, (n,), generator=generator).tolist()) for n in LENGTHS
    ]


@pytest.fixture
def shift(tiny):
    return torch.randn(tiny.model.card.d_model, generator=torch.Generator().manual_seed(1))


def graph_of(model, layer):
    return Graph(model.card.n_layers, layer, model.card.n_heads, model.card.n_kv_heads)


def tokens(responses):
    return [response.token_ids for response in responses]


@pytest.mark.parametrize("layer", [0, 1, 3])
def test_whole_and_empty_circuit_write_steered_and_base_text(tiny, prompts, shift, layer):
    whole = torch.from_numpy(graph_of(tiny.model, layer).edge_mask)
    settings = {"layer": layer, "shift": shift, "max_new_tokens": N_NEW, "batch_size": 2, "label": "test"}
    steering = Steering.uniform(shift, layer=layer, coefficients=[1.0] * len(prompts))
    steer = tokens(generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=2, steering=steering))
    base = tokens(generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=2))
    assert steer != base
    assert tokens(generate_patched(tiny.model, prompts, circuit=whole, **settings)) == steer
    assert tokens(generate_patched(tiny.model, prompts, circuit=torch.zeros_like(whole), **settings)) == base


def test_a_circuit_writes_what_running_its_prefix_again_predicts(tiny, prompts, shift):
    graph = graph_of(tiny.model, 1)
    scores = np.random.default_rng(0).normal(size=graph.edge_mask.shape)
    mask = ranked_circuits(graph, scores, [60], signed=False)[0]
    found = generate_patched(
        tiny.model,
        prompts,
        layer=1,
        shift=shift,
        circuit=torch.from_numpy(mask),
        max_new_tokens=N_NEW,
        batch_size=3,
        label="test",
    )
    steered = SteeredModel(tiny.model, 1, shift)
    for prompt, response in zip(prompts, found, strict=True):
        (runs,) = forced_runs(steered, [prompt], [response.token_ids], batch_size=1)
        with torch.no_grad():
            logits = steered.head.logits(run_circuit_slowly(steered, runs, mask))
        assert tuple(logits[0].argmax(-1).tolist()) == response.token_ids


def test_base_stream_reads_the_text_of_the_circuit(tiny, prompts, shift):
    """A circuit of one edge to the LM head differs from steering alone, and from base: the test above has teeth."""
    graph = graph_of(tiny.model, 1)
    mask = torch.zeros(graph.n_src, graph.n_dst, dtype=torch.bool)
    mask[0, graph.lm_head] = True
    settings = {"layer": 1, "shift": 3 * shift, "max_new_tokens": N_NEW, "batch_size": 3, "label": "test"}
    found = tokens(generate_patched(tiny.model, prompts, circuit=mask, **settings))
    assert found != tokens(generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=3))
