"""Byte counts of a model's parts are the sums by hand, and bound what is there."""

from __future__ import annotations

import json

from tests.conftest import REPOSITORY
from tests.models.cards import GEMMA, LLAMA, POCKET

from steering_study.models.sizes import backward_bytes, cache_bytes, count_parameters, logit_bytes

PUBLISHED = [(GEMMA, 2.61e9), (LLAMA, 3.21e9)]


def test_parameters_bound_the_published_sizes_and_the_bundled_weights_closely():
    for card, published in PUBLISHED:
        assert published < count_parameters(card) < 1.25 * published
    folder = REPOSITORY / "resources/models/pocket-llama"
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == POCKET["n_layers"]
    stored = (folder / "model.safetensors").stat().st_size / 4
    assert stored < count_parameters(POCKET) < 1.25 * stored


def test_parts_are_the_sums_by_hand():
    card = {**POCKET, "n_layers": 2, "n_kv_heads": 1, "d_head": 3, "n_heads": 2, "d_model": 5, "d_mlp": 7}
    card |= {"d_vocab": 11}
    assert cache_bytes(card, rows=4, tokens=10) == 2 * 2 * 1 * 3 * 4 * 4 * 10
    assert cache_bytes({**card, "dtype": "bfloat16"}, rows=4, tokens=10) == 2 * 2 * 1 * 3 * 2 * 4 * 10
    assert logit_bytes(card, rows=4, tokens=10) == 3 * 4 * 4 * 10 * 11
    kept = 20 * 4 * 2 * (8 * 5 + 4 * 7 + 2 * 2 * 10)  # of 20 positions, of which 8 are a response's
    assert backward_bytes(card, positions=20, tokens=10, new_tokens=4) == kept + 2 * 4 * 11 * 8


def test_logits_of_a_pass_are_bounded_as_the_pass_is():
    assert logit_bytes(GEMMA, rows=16, tokens=512) == 3 * 4 * 2**28
