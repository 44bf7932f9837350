"""Dimensions that methods keep together, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.sparsity.by_hand import only, written

from steering_study.sparsity.chance import adjusted_p_values, chance_iou, joint_p_value, overlap_p_value
from steering_study.sparsity.settings import mask_of, settings_table
from steering_study.sparsity.shared import overlap_table, overlaps_near, shared_table
from steering_study.sparsity.sparsify import Grid, Sparse, plain_vectors


def methods():
    """Settings of three methods: a and b keep one of two dimensions together, c none with either."""
    pairs = {"a": (0, 1), "b": (1, 2), "c": (3, 4)}
    return {
        name: settings_table(
            [
                Sparse("none", mask_of(range(6), 6)),
                Sparse("gradient", mask_of(pair, 6), target_percent=60.0),
                Sparse("bottom_k", mask_of((0, 5), 6), target_percent=60.0),
                Sparse("dropout", mask_of((0, 5), 6), target_percent=60.0),
                Sparse("gradient", mask_of((0, 5), 6), "rescaled", target_percent=60.0),
                Sparse("shared", mask_of((0,), 6), target_percent=60.0),
            ]
        )
        for name, pair in pairs.items()
    }


def test_overlaps_by_hand(tmp_path):
    found = overlap_table(methods(), d_model=6)
    written(tmp_path, found, "iou")
    pairs = list(zip(found["method_a"], found["method_b"], found["criterion"], strict=True))
    assert sorted(pairs) == [
        (a, b, criterion) for a, b in ("ab", "ac", "bc") for criterion in ("bottom_k", "gradient")
    ]
    row = only(found, method_a="a", method_b="b", criterion="gradient")
    assert (row["n_a"], row["n_b"], row["n_shared"]) == (2, 2, 1)
    assert row["iou"] == pytest.approx(1 / 3)
    assert row["chance"] == chance_iou(2, 2, 6)
    assert row["p_value"] == pytest.approx(1 - 6 / 15)  # of 15 pairs, 6 lie among the other four
    assert row["sparsity_percent"] == pytest.approx(100 * 4 / 6)
    assert only(found, method_a="a", method_b="c", criterion="gradient")["iou"] == 0
    same = found[found["criterion"] == "bottom_k"]
    assert same["iou"].tolist() == [1] * 3
    assert same["p_value"].tolist() == pytest.approx([1 / 15] * 3)


def test_p_values_are_adjusted_over_the_whole_table():
    found = overlap_table(methods(), d_model=6)
    assert found["p_adjusted"].tolist() == adjusted_p_values(list(found["p_value"]))
    assert found["p_adjusted"].min() == pytest.approx(6 / 15)  # the least of six


def test_overlap_at_a_threshold_pairs_methods_of_different_sparsity(tmp_path):
    """A threshold of the gradient leaves more of one method than of another; each is told by its threshold."""
    both = {
        "a": settings_table(
            [
                Sparse("gradient", mask_of((0, 1, 2), 6), threshold=0.5),
                Sparse("gradient", mask_of((0,), 6), threshold=1.0),
                Sparse("gradient", mask_of((0, 1), 6), target_percent=60.0),
            ]
        ),
        "b": settings_table(
            [
                Sparse("gradient", mask_of((0, 1, 2, 3, 4), 6), threshold=0.5),
                Sparse("gradient", mask_of((5,), 6), threshold=2.0),
            ]
        ),
    }
    found = written(tmp_path, overlap_table(both, d_model=6), "iou")
    (row,) = found.to_dict("records")
    assert (row["n_a"], row["n_b"], row["n_shared"], row["threshold"]) == (3, 5, 3, 0.5)
    assert row["sparsity_percent"] == pytest.approx((50 + 100 / 6) / 2)
    assert row["p_value"] == pytest.approx(overlap_p_value(3, 3, 5, 6))


def test_rows_in_which_nothing_could_be_found_are_no_part_of_the_family():
    """Thresholds that drop nothing, everything, or what another drops leave the adjusted p-values of the others alone."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(2, 40))
    vectors = {
        name: shared + 0.2 * rng.normal(size=(2, 40)) for name in "ab"
    }  # what they keep is much the same

    def overlaps(thresholds):
        settings = {
            name: settings_table(plain_vectors(*each, Grid([], thresholds, draws=2), seed=0))
            for name, each in vectors.items()
        }
        return overlap_table(settings, d_model=40).set_index(["criterion", "threshold"])

    alone, among = overlaps([0.5, 1.0]), overlaps([0.0, 0.5, 1.0, 1.0 + 1e-9, 1000.0, 2000.0])
    assert (alone["p_adjusted"] < 1).any()
    assert among.loc[alone.index, "p_adjusted"].tolist() == alone["p_adjusted"].tolist()
    for criterion in ("gradient", "indirect_effect", "bottom_k"):
        assert (among.loc[[(criterion, 0.0), (criterion, 1000.0)], "p_adjusted"] == 1).all()
        same = among.loc[[(criterion, 1.0), (criterion, 1.0 + 1e-9)], "p_adjusted"]
        assert same.nunique() == 1
    assert (overlaps_near(among.reset_index(), 100.0)["n_a"] > 0).all()


def test_overlap_is_symmetric():
    there = overlap_table({name: methods()[name] for name in "ab"}, d_model=6)
    back = overlap_table({name: methods()[name] for name in "ba"}, d_model=6)
    columns = ["criterion", "n_shared", "iou", "chance", "p_value", "p_adjusted"]
    pd.testing.assert_frame_equal(there[columns], back[columns])


def test_one_method_has_no_overlap(tmp_path):
    assert len(written(tmp_path, overlap_table({"a": methods()["a"]}, d_model=6), "iou")) == 0


def test_shared_dimensions_by_hand(tmp_path):
    """Three methods that keep 4 of 8: half of a half of a half of them are expected in common."""
    masks = {"a": mask_of((0, 1, 2, 3), 8), "b": mask_of((1, 2, 3, 4), 8), "c": mask_of((2, 3, 6, 7), 8)}
    few = {name: mask_of((i,), 8) for i, name in enumerate(masks)}
    found = shared_table({50.0: masks, 87.5: few}, d_model=8)
    table = written(tmp_path, found, "shared_dimensions")
    assert [list(dimensions) for dimensions in table["dimensions"]] == [[2, 3], []]
    assert table["n_shared"].tolist() == [2, 0]
    assert table["n_kept"].tolist() == [4, 1]
    assert table["n_methods"].tolist() == [3, 3]
    assert table["chance"].tolist() == pytest.approx([8 / 8, 8 / 8**3])
    assert table["p_value"].tolist() == pytest.approx([joint_p_value(2, [4, 4, 4], 8), 1])
    assert 0 < table["p_value"][0] < 1
