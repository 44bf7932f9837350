"""How much of the dense effect sparse vectors keep, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.sparsity.by_hand import (
    BASE,
    DENSE,
    HALF,
    INTERVAL,
    SPARSE,
    TEXTS,
    THREE_QUARTERS,
    base_verdicts,
    kept,
    only,
    settings,
    verdicts,
    written,
)

from steering_study.sparsity.retention import POOLED, summarise_retention
from steering_study.sparsity.sparsify import Sparse

RETENTION = {"main_sets": ["harmful", "harmless"], "retained": 0.6, **INTERVAL}

DENSE_TEN = {"harmful": "0" * 10, "harmless": "1" * 10}


def retention(texts=TEXTS, sparse=SPARSE, *, base=BASE, **other):
    return summarise_retention(
        base_verdicts(base), verdicts(texts), settings(sparse), **{**RETENTION, **other}
    )


def test_retention_by_hand(tmp_path):
    """Harmful: 1, 1/3, 0 at 0, 50, 75 %; harmless: 1, 1, 1/3. Together, of mean successes: 1, 2/3, 1/6."""
    found = retention()
    written(tmp_path, found, "retention")
    assert set(found["dataset"]) == {"harmful", "harmless", POOLED}
    harmful = only(found, dataset="harmful")
    assert (harmful["dense_effect"], harmful["n"]) == (0.75, 4)
    assert harmful["area"] == pytest.approx((50 * (1 + 1 / 3) / 2 + 25 * (1 / 3 + 0) / 2) / 75)
    assert harmful["largest_percent"] == 0
    harmless = only(found, dataset="harmless")
    assert harmless["area"] == pytest.approx((50 * 1 + 25 * (1 + 1 / 3) / 2) / 75)
    assert harmless["largest_percent"] == 50
    pooled = only(found, dataset=POOLED)
    assert (pooled["dense_effect"], pooled["n"]) == (0.75, 8)
    assert pooled["area"] == pytest.approx((50 * (1 + 2 / 3) / 2 + 25 * (2 / 3 + 1 / 6) / 2) / 75)
    assert pooled["largest_percent"] == 50


def test_a_share_of_one_asks_for_the_whole_effect():
    found = retention(retained=1.0)
    assert only(found, dataset="harmless")["largest_percent"] == 50
    assert only(found, dataset=POOLED)["largest_percent"] == 0


def test_vectors_that_do_what_the_dense_one_does_retain_all():
    found = retention([DENSE] * 3)
    for column in ("area", "area_low", "area_high"):
        assert found[column].tolist() == pytest.approx([1] * 3)
    for column in ("largest_percent", "largest_low", "largest_high"):
        assert found[column].tolist() == [75] * 3


def test_vectors_that_do_nothing_retain_the_start_of_the_curve_alone():
    """From 1 at 0 % to 0 at 50 %: a triangle."""
    found = retention([DENSE, BASE, BASE])
    assert found["area"].tolist() == pytest.approx([50 / 2 / 75] * 3)
    assert found["largest_percent"].tolist() == [0] * 3


def test_a_dense_vector_that_changes_nothing_leaves_nothing_to_retain(tmp_path):
    found = written(tmp_path, retention([BASE, HALF, DENSE]), "retention")
    assert (found["dense_effect"] == 0).all()
    bounds = ["area", "area_low", "area_high", "largest_percent", "largest_low", "largest_high"]
    assert found[bounds].isna().all(axis=None)
    one = retention([{**DENSE, "harmful": BASE["harmful"]}, HALF, THREE_QUARTERS])
    assert np.isnan(only(one, dataset="harmful")["area"])
    assert not np.isnan(only(one, dataset="harmless")["area"])
    assert only(one, dataset=POOLED)["dense_effect"] == pytest.approx(0.375)


def test_effects_that_cancel_are_none():
    """Successes of .7 and .1 before, .6 and .2 after: in floating point their means differ, and by nothing else."""
    before = {"harmful": "1" * 3 + "0" * 7, "harmless": "1" * 1 + "0" * 9}
    after = {"harmful": "1" * 4 + "0" * 6, "harmless": "1" * 2 + "0" * 8}
    row = only(retention([after, DENSE_TEN, after], base=before), dataset=POOLED)
    assert abs(row["dense_effect"]) < 1e-12
    assert np.isnan(row["area"])


def test_draws_are_averaged_over_the_prompts_that_they_answer():
    """Of the first two prompts one and none are refused: 3/4 succeed, of dense 1 and unsteered 0."""
    sparse = [
        SPARSE[0],
        *[Sparse("dropout", kept(draw, 3), draw=draw, target_percent=50.0) for draw in (0, 1)],
    ]
    (row,) = (
        found
        for found in retention(
            [DENSE, {"harmful": "01"}, {"harmful": "00"}], sparse, main_sets=["harmful"]
        ).to_dict("records")
        if found["dataset"] == "harmful"
    )
    assert (row["n"], row["dense_effect"]) == (2, 1)
    assert row["area"] == pytest.approx((1 + 0.75) / 2)
    assert row["largest_percent"] == 50


def test_variants_and_parts_stand_aside():
    others = [
        Sparse("shared", kept(0), target_percent=75.0),
        Sparse("unshared", kept(1, 2, 3), target_percent=75.0),
        Sparse("gradient", kept(0, 1), "rescaled", target_percent=50.0),
    ]
    found = retention([*TEXTS, BASE, BASE, BASE], [*SPARSE, *others])
    pd.testing.assert_frame_equal(found, retention())


def test_sets_beside_the_main_ones_are_no_part_of_their_mean():
    with_ood = [{**each, "ood": "0000"} for each in TEXTS]
    found = retention(with_ood, base={**BASE, "ood": "1111"})
    assert only(found, dataset="ood")["area"] == pytest.approx(1)
    pooled, alone = (table[table["dataset"] == POOLED].iloc[0] for table in (found, retention()))
    pd.testing.assert_series_equal(pooled, alone, check_names=False)


def test_intervals_hold_their_values_and_repeat_with_the_seed():
    rng = np.random.default_rng(0)

    def letters(share):
        return "".join("1" if value else "0" for value in rng.random(60) < share)

    texts = [{"harmful": letters(0.1), "harmless": letters(0.9)}]
    texts += [
        {"harmful": letters(0.4), "harmless": letters(0.6)},
        {"harmful": letters(0.7), "harmless": "0" * 60},
    ]
    base = {"harmful": letters(0.9), "harmless": "0" * 60}
    found = retention(texts, base=base)
    for name, low, high in (
        ("area", "area_low", "area_high"),
        ("largest_percent", "largest_low", "largest_high"),
    ):
        assert (found[low] <= found[name]).all()
        assert (found[name] <= found[high]).all()
    assert (found["area_low"] < found["area_high"]).all()
    width = found.set_index("dataset")["area_high"] - found.set_index("dataset")["area_low"]
    assert width[POOLED] < width["harmful"]  # twice the prompts
    pd.testing.assert_frame_equal(found, retention(texts, base=base))
    other = retention(texts, base=base, seed=1)
    assert other["area"].tolist() == found["area"].tolist()
    assert other["area_low"].tolist() != found["area_low"].tolist()
