"""What must hold between vectors, pairs and trials, whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_table
from tests.results.conftest import METHODS, ROOT

LEARNED = [method for method in METHODS if method not in ("dim", "random", "shuffled")]
CONTROLS = [method for method in METHODS if method in ("random", "shuffled")]


@pytest.mark.parametrize("method", CONTROLS)
def test_control_has_the_norm_and_the_coefficients_of_dim(results, method):
    dim, control = (
        load_file(results.folder / f"{name}/vector.safetensors")["vector"] for name in ("dim", method)
    )
    assert np.linalg.norm(control) == pytest.approx(np.linalg.norm(dim), rel=1e-5)
    assert not np.allclose(control, dim)
    assert results.json(f"{method}/coefficients.json") == results.json("dim/coefficients.json")


@pytest.mark.parametrize("method", LEARNED)
def test_vector_is_that_of_the_selected_trial(results, method):
    trials = results.table(f"{method}/trials.parquet", table="trials")
    (selected,) = trials[trials["selected"]].to_dict("records")
    vector = load_file(results.folder / f"{method}/vector.safetensors")["vector"]
    assert np.linalg.norm(vector) == pytest.approx(selected["norm"], rel=1e-4)
    same_phi = trials[trials["phi"].eq(selected["phi"]) | np.isnan(selected["phi"])]
    assert selected["validation_loss"] == same_phi["validation_loss"].min()


@pytest.mark.parametrize("method", LEARNED)
def test_every_trial_has_its_curve(results, method):
    trials = results.table(f"{method}/trials.parquet", table="trials").set_index("trial")
    training = results.table(f"{method}/training.parquet", table="training")
    last = training.sort_values("epoch").groupby("trial").last()
    assert (last["epoch"] == trials["epochs"]).all()
    assert np.allclose(last["validation_loss"], trials["validation_loss"], equal_nan=True)


@pytest.mark.skipif(not LEARNED, reason="no learned method in this study")
def test_kept_pairs_show_both_behaviours_and_no_test_prompt(results):
    pairs = results.table("pairs.parquet", table="pairs")
    prompts = read_table(ROOT / "prompts/prompts.parquet", PROMPTS).set_index("id")
    assert set(prompts.loc[pairs["prompt_id"], "split"]) <= {"train", "augmentation", "validation"}
    assert (pairs["kept"] == (pairs["reason"] == "")).all()
    contrast = results.table("dim/contrast/verdicts.parquet", table="verdicts").set_index("prompt_id")
    kept = pairs[pairs["kept"]]
    verdicts = contrast.loc[kept["prompt_id"]]
    assert (verdicts["refused"].to_numpy() == (kept["label"] == "harmless").to_numpy()).all()
    assert not verdicts["degenerate"].any()


def test_sweep_over_depth_holds_the_layer_of_dim(results, method):
    layers = results.table("layers.parquet", table="layers")
    rows = layers[layers["method"] == method]
    vector = load_file(results.folder / f"{method}/vector.safetensors")["vector"]
    stored = load_file(results.folder / f"{method}/layers.safetensors")
    assert sorted(set(rows["layer"])) == stored["layers"].tolist()
    (at,) = np.flatnonzero(stored["layers"] == results.json("dim/vector.json")["layer"])
    assert np.allclose(stored["vectors"][at], vector, atol=1e-5)
