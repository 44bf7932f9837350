"""Frames, opening and facts of the sparsity section, by hand where they can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.sparsity.frames import sparsity_summaries

from steering_study.report.frames import FRAMES
from steering_study.sparsity.section import (
    average_draws,
    average_sets,
    published_families,
    published_retention,
    sparsity_facts,
    sparsity_frames,
    sparsity_leads,
)

ROOT = Path(__file__).parents[2]
CARDS = {"pocket-llama": {"architecture": "LlamaForCausalLM"}}


@pytest.fixture(scope="module")
def published():
    folder = ROOT / "resources/paper"
    return {
        "sparsity": pd.read_csv(folder / "table10_11_sparsification.csv"),
        "asr": pd.read_csv(folder / "table2_attack_success_rate.csv"),
    }


@pytest.fixture(scope="module")
def tables():
    made = sparsity_summaries(("dim", "ntp"), np.random.default_rng(0))
    return {name: table.assign(model="pocket-llama") for name, table in made.items()}


@pytest.fixture(scope="module")
def frames(tables, published):
    return sparsity_frames(tables, cards=CARDS, published=published)


def test_frames_have_their_columns(frames):
    assert {name: set(frame.columns) for name, frame in frames.items()} == {
        name: set(FRAMES[name]) for name in frames
    }


def test_published_retention_by_hand():
    """One model: unsteered 1.0 and 0.0, dense 0.0 and 0.8; at 50 % a tenth of each is lost, at 100 % all of it."""
    rates = {("alpaca", 0.0): 0.0, ("alpaca", 50.0): 0.1, ("alpaca", 100.0): 1.0}
    rates |= {("jailbreakbench", 0.0): 0.8, ("jailbreakbench", 50.0): 0.72, ("jailbreakbench", 100.0): 0.0}
    printed = pd.DataFrame(
        [(name, at, asr) for (name, at), asr in rates.items()], columns=["dataset", "sparsity_percent", "asr"]
    ).assign(model="m", method="dim", criterion="gradient")
    unsteered = pd.DataFrame(
        [("none", "alpaca", 1.0), ("none", "jailbreakbench", 0.0), ("dim", "alpaca", 0.5)],
        columns=["method", "dataset", "asr"],
    ).assign(model="m")
    found = published_retention(printed, unsteered, ["harmful", "harmless"], retained=0.9).set_index(
        "published_model"
    )
    assert list(found.index) == ["m", "mean"]
    assert found.loc["m", "area"] == pytest.approx((1 + 0.9) / 4 + (0.9 + 0) / 4)
    assert found.loc["m", "largest_percent"] == 50.0


def test_published_curves_of_two_models_are_averaged(frames):
    found = frames["published_retention"].query("method == 'dim' and criterion == 'gradient'")
    own = found.set_index("published_model")["largest_percent"]
    assert own["mean"] == pytest.approx((own["gemma-2-2b-it"] + own["llama-3.2-3b-instruct"]) / 2)
    assert own["gemma-2-2b-it"] == 83.7  # Table 10: 94.9 % leaves 84 % of the effect


def test_draws_are_averaged_and_spread(tables):
    curves = average_draws(tables["sparsity"])
    at = "criterion == 'dropout' and method == 'dim' and dataset == 'harmful' and target_percent == 90"
    draws, (row,) = tables["sparsity"].query(at)["asr"], curves.query(at).to_dict("records")
    assert row["n_draws"] == 2
    assert (row["asr_low"], row["asr"], row["asr_high"]) == pytest.approx(
        (draws.min(), draws.mean(), draws.max())
    )
    assert not set(curves["criterion"]) & {"shared", "unshared"}


def test_sets_that_a_vector_does_not_change_are_left_out():
    rows = pd.DataFrame(
        [("a", np.nan, 0.0, 0), ("b", 0.4, 1.0, 3)], columns=["dataset", "faithfulness", "gap", "n"]
    ).assign(model="m", method="dim", target_percent=99.0, nominal_edges=5, n_edges=5)
    (row,) = average_sets(rows).to_dict("records")
    assert (row["faithfulness"], row["gap"], row["n"]) == (0.4, 0.5, 3)


def test_a_family_of_its_own_stands_beside_all_published_models():
    pairs = published_families(["a", "pocket-llama"], {**CARDS, "a": {"architecture": "Qwen2ForCausalLM"}})
    assert pairs.groupby("model").size().to_dict() == {"a": 2, "pocket-llama": 1}


def test_opening_and_facts_carry_numbers(frames):
    first, overlap, variant = sparsity_leads(frames)
    row = (
        frames["retention"]
        .query("method == 'dim' and criterion == 'gradient' and dataset == 'main sets'")
        .iloc[0]
    )
    assert f"[{row['largest_low']:.0f},\N{NO-BREAK SPACE}{row['largest_high']:.0f}] in pocket-llama" in first
    assert "Gemma 2 2B 83.7\N{NO-BREAK SPACE}%" in first
    (pair,) = frames["iou"].query("criterion == 'gradient' and target_percent == 90").to_dict("records")
    assert f"an IoU of {pair['iou']:.2f} (chance {pair['chance']:.2f})" in overlap
    rescaled = (
        frames["sparse_variants"].query("method == 'dim' and variant == 'rescaled'")["flip_rate"].mean()
    )
    assert f"{100 * rescaled:.1f}".removesuffix(".0") in variant
    facts = sparsity_facts(frames)
    assert (facts["n_sparse"], facts["n_draws"], facts["n_pooled"]) == ("6", "2", "12")
    assert (facts["d_model"], facts["factors"]) == ("pocket-llama 20", "2")
    assert facts["n_overlaps"] == "6"  # one pair, three criteria, two sparsities


def test_a_vector_without_effect_has_nothing_to_keep(frames):
    nothing = frames["retention"].assign(largest_percent=np.nan, largest_low=np.nan, largest_high=np.nan)
    first = sparsity_leads({**frames, "retention": nothing})[0]
    assert "undefined, as DIM changes nothing, in pocket-llama" in first
