"""What scripts of sparse vectors read: mean effects of dimensions, and what each method keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from steering_study.circuits.schemas import ATTRIBUTION
from steering_study.sparsity.effects import SparseInputs, mean_effects
from steering_study.sparsity.sparsify import n_of_percent
from steering_study.store.artifacts import write_table, write_tensors
from steering_study.store.names import by_method

SCORES = {
    "harmful_base.logit_difference.dimensions": np.array([[1.0, -2.0], [3.0, 0.0], [2.0, 2.0]], np.float32),
    "harmless_steer.logit_difference.dimensions": np.array([[-10.0, 4.0]], np.float32),
}
ATTRIBUTED = pd.DataFrame(
    {
        "prompt_id": ["a", "b", "c", "d", "a", "b", "c"],
        "half": [0, 1, 0, 0, 0, 1, 0],
        "patching_set": ["harmful_base"] * 3 + ["harmless_steer"] + ["harmful_base"] * 3,
        "metric": ["logit_difference"] * 4 + ["kl_0"] * 3,
        "n_positions": [2, 0, 5, 1, 50, 60, 70],
        "n_tokens": 80,
        "change": 1.0,
        "outgoing": 1.0,
        "method": "dim",
    }
)
OTHERS = {
    "harmful_base.kl_0.dimensions": np.full((3, 2), 99.0, np.float32),
    "harmful_base.logit_difference.edges": np.full((3, 2), 77.0, np.float32),
}


def test_effects_are_means_over_the_unmasked_positions_of_all_responses():
    """(1 + 3 + 2 - 10) / 8 and (-2 + 0 + 2 + 4) / 8: a position counts once, whatever response or set it is of."""
    assert mean_effects(SCORES, ATTRIBUTED) == pytest.approx([-0.5, 0.5])
    assert mean_effects(SCORES, ATTRIBUTED).dtype == np.float64


def test_other_metrics_and_edges_have_no_part_in_effects():
    own = ATTRIBUTED[ATTRIBUTED["metric"] == "logit_difference"]
    assert mean_effects({**OTHERS, **SCORES}, ATTRIBUTED) == pytest.approx(mean_effects(SCORES, own))


def test_responses_without_an_unmasked_position_are_an_error():
    with pytest.raises(ValueError, match="agree at every response position"):
        mean_effects(SCORES, ATTRIBUTED.assign(n_positions=0))


def test_files_are_read_by_method(tmp_path):
    vectors, scores = {"dim": [4.0, -1.0], "po": [0.5, 2.0]}, tmp_path / "edge_scores.safetensors"
    write_tensors(scores, {name: torch.from_numpy(array) for name, array in {**SCORES, **OTHERS}.items()})
    for name, values in vectors.items():
        write_tensors(tmp_path / f"{name}.safetensors", {"vector": torch.tensor(values)})
    attribution = tmp_path / "attribution.parquet"
    write_table(attribution, ATTRIBUTED, ATTRIBUTION, provenance={})
    inputs = SparseInputs.read(
        {name: tmp_path / f"{name}.safetensors" for name in vectors},
        dict.fromkeys(vectors, scores),
        dict.fromkeys(vectors, attribution),
    )
    assert {name: values.tolist() for name, values in inputs.vectors.items()} == vectors
    assert all(effects == pytest.approx([-0.5, 0.5]) for effects in inputs.effects.values())


def test_masks_keep_the_largest_gradients_of_each_method():
    """Gradients of a: .1, -.9, -2, .1; of b: 2, 1, .5, 4."""
    inputs = SparseInputs(
        {"a": np.array([4.0, -1.0, 0.5, 2.0]), "b": np.array([0.5, 1.0, 2.0, 0.25])},
        {"a": np.array([0.4, 0.9, -1.0, 0.2]), "b": np.ones(4)},
    )
    found = {
        percent: {name: np.flatnonzero(mask).tolist() for name, mask in by_method.items()}
        for percent, by_method in inputs.masks([50.0, 75.0]).items()
    }
    assert found == {50.0: {"a": [1, 2], "b": [0, 3]}, 75.0: {"a": [2], "b": [3]}}


def test_masks_keep_as_many_by_every_method():
    rng = np.random.default_rng(0)
    vectors, effects = ({name: rng.normal(size=67) for name in ("dim", "ntp", "po")} for _ in range(2))
    for percent, masks in SparseInputs(vectors, effects).masks([30.0, 90.0]).items():
        assert {int(mask.sum()) for mask in masks.values()} == {67 - n_of_percent(percent, 67)}


def test_files_of_a_rule_go_to_methods_in_their_order():
    assert by_method(["dim", "po"], ["a", "b"]) == {"dim": Path("a"), "po": Path("b")}
    with pytest.raises(ValueError, match="zip"):
        by_method(["dim", "po"], ["a"])
