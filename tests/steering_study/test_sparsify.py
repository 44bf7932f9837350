"""Sparse vectors by hand: thresholds, orders, what is left, and how long it lasts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering_study.sparsify import (
    CRITERIA,
    area_under_retention,
    drop_order,
    kept,
    largest_retained,
    mean_gradient,
    n_below,
    n_of_percent,
    rescaled,
)

VECTOR = np.array([4.0, -1.0, 0.5, 2.0])
EFFECTS = np.array([0.4, 0.9, -1.0, 0.2])  # gradients .1, -.9, -2, .1


def rng():
    return np.random.default_rng(0)


def test_gradient_is_effect_over_vector():
    assert mean_gradient(EFFECTS, VECTOR) == pytest.approx([0.1, -0.9, -2.0, 0.1])
    assert mean_gradient(np.array([1.0, 2.0]), np.array([0.0, 2.0])) == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [("gradient", [0, 3, 1, 2]), ("indirect_effect", [3, 0, 1, 2]), ("bottom_k", [2, 1, 3, 0])],
)
def test_each_criterion_drops_its_smallest_first(criterion, expected):
    assert drop_order(criterion, VECTOR, EFFECTS).tolist() == expected


def test_threshold_zero_is_the_identity():
    gradient = mean_gradient(EFFECTS, VECTOR)
    assert n_below(gradient, 0.0) == 0
    for criterion in CRITERIA:
        order = drop_order(criterion, VECTOR, EFFECTS, rng=rng())
        assert np.array_equal(VECTOR * kept(order, 0), VECTOR)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5])
def test_first_k_of_the_gradient_order_are_those_below_the_threshold(threshold):
    """METHOD 6: k comes from |g| < tau, so that the gradient criterion zeroes exactly those."""
    generator = np.random.default_rng(1)
    vector, effects = generator.normal(size=300), generator.normal(size=300)
    gradient = mean_gradient(effects, vector)
    mask = kept(drop_order("gradient", vector, effects), n_below(gradient, threshold))
    assert np.array_equal(mask, np.abs(gradient) >= threshold)


@given(st.floats(0, 100), st.integers(1, 4000))
def test_target_sparsities_leave_something(percent, d_model):
    n_dropped = n_of_percent(percent, d_model)
    assert 0 <= n_dropped < d_model
    assert abs(n_dropped - percent * d_model / 100) <= 1


def test_masks_are_nested():
    order = drop_order("bottom_k", VECTOR, EFFECTS)
    masks = [kept(order, k) for k in range(4)]
    assert [int(mask.sum()) for mask in masks] == [4, 3, 2, 1]
    assert all((masks[k + 1] <= masks[k]).all() for k in range(3))


def test_dropout_draws_differ_and_repeat_with_their_seed():
    draws = [
        drop_order("dropout", np.ones(50), np.ones(50), rng=np.random.default_rng(i)).tolist()
        for i in (0, 1, 0)
    ]
    assert draws[0] == draws[2] != draws[1]


def test_rescaling_gives_the_dense_norm_and_keeps_the_direction():
    sparse = VECTOR * np.array([1, 0, 0, 1])
    found = rescaled(sparse, VECTOR)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(VECTOR))
    assert found / np.linalg.norm(found) == pytest.approx(sparse / np.linalg.norm(sparse))


def test_area_is_one_where_all_is_retained_and_half_on_a_diagonal():
    assert area_under_retention([0.0, 50.0, 90.0, 99.0], [1.0] * 4) == pytest.approx(1)
    assert area_under_retention([100.0, 0.0], [0.0, 1.0]) == pytest.approx(0.5)


def test_largest_retained_stops_at_the_first_loss():
    assert largest_retained([0.0, 50.0, 90.0, 99.0], [1.0, 0.95, 0.5, 0.99], share=0.9) == 50
    assert largest_retained([0.0, 50.0], [0.5, 1.0], share=0.9) == 0


def test_what_cannot_be_sparsified_is_refused():
    with pytest.raises(ValueError, match="criterion='topk' is unknown"):
        drop_order("topk", VECTOR, EFFECTS)
    with pytest.raises(ValueError, match="width 4 with effects of 3"):
        drop_order("gradient", VECTOR, EFFECTS[:3])
    with pytest.raises(ValueError, match="dropout needs a generator"):
        drop_order("dropout", VECTOR, EFFECTS)
    with pytest.raises(ValueError, match="zero vector"):
        rescaled(np.zeros(4), VECTOR)
    with pytest.raises(ValueError, match="at least two sparsities"):
        area_under_retention([0.0], [1.0])
