"""Intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering_study.stats import (
    bootstrap_mean,
    bootstrap_mean_of_means,
    bootstrap_ratio,
    mean_of_estimates,
    ratio_of_estimates,
    ratio_of_sums,
    wilson_interval,
)

Z = 1.959963984540054  # normal quantile of 0.975
COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_wilson_equals_its_formula(counts):
    k, n = counts
    p, z2 = k / n, Z * Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # 1e-9: the root of a difference of nearly equal numbers at k = 0 and k = n
    assert wilson_interval(k, n, confidence=0.95) == pytest.approx((centre - half, centre + half), abs=1e-9)


@given(COUNTS)
def test_interval_holds_the_rate_and_stays_in_the_unit_interval(counts):
    k, n = counts
    low, high = wilson_interval(k, n, confidence=0.95)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high


def test_no_success_in_a_hundred_has_a_width():
    low, high = wilson_interval(0, 100, confidence=0.95)
    assert low == 0
    assert high == pytest.approx(Z * Z / (100 + Z * Z))  # 3.7 %


def test_failures_mirror_successes():
    low, high = wilson_interval(30, 100, confidence=0.95)
    assert wilson_interval(70, 100, confidence=0.95) == pytest.approx((1 - high, 1 - low))


def test_more_confidence_is_a_wider_interval():
    low, high = wilson_interval(30, 100, confidence=0.95)
    lower, higher = wilson_interval(30, 100, confidence=0.99)
    assert lower < low < high < higher


def test_no_observation_has_no_interval():
    with pytest.raises(ValueError, match="no observation"):
        wilson_interval(0, 0, confidence=0.95)


def test_bootstrap_of_a_mean_covers_it_and_narrows_with_n():
    values = np.random.default_rng(0).normal(3, 1, 400)
    few, many = (
        bootstrap_mean(list(values[:n]), confidence=0.95, n_resamples=2000, seed=1) for n in (25, 400)
    )
    assert few[0] < values[:25].mean() < few[1]
    # 2 x 1.96 / sqrt(n), within a tenth
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert few[1] - few[0] > many[1] - many[0]


def test_bootstrap_of_equal_values_has_no_width():
    assert bootstrap_mean([2.0, 2.0], confidence=0.95, n_resamples=100, seed=0) == (2.0, 2.0)


def test_bootstrap_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no observation"):
        bootstrap_mean([], confidence=0.95, n_resamples=100, seed=0)


def test_mean_of_estimates_by_hand():
    """Half-widths 3 and 4 below, 5 and 12 above: halves of 5 and 13."""
    assert mean_of_estimates([(10.0, 7.0, 15.0), (20.0, 16.0, 32.0)]) == pytest.approx((15, 12.5, 21.5))
    assert mean_of_estimates([(10.0, 7.0, 15.0)]) == (10, 7, 15)
    with pytest.raises(ValueError, match="no estimate"):
        mean_of_estimates([])


def test_mean_of_estimates_is_the_bootstrap_of_their_groups():
    rng = np.random.default_rng(0)
    groups = [list(rng.normal(mean, 2, 200)) for mean in (0, 5)]
    settings = {"confidence": 0.95, "n_resamples": 4000, "seed": 1}
    each = [(float(np.mean(group)), *bootstrap_mean(group, **settings)) for group in groups]
    # 0.03: a tenth of the half-width, 1.96 * 2 / sqrt(400)
    assert mean_of_estimates(each)[1:] == pytest.approx(bootstrap_mean_of_means(groups, **settings), abs=0.03)


def test_ratio_of_estimates_is_the_bootstrap_of_a_ratio():
    """Of independent samples; of samples that rise and fall together it is wider."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(4, 1, 400), rng.normal(8, 2, 400)
    settings = {"confidence": 0.95, "n_resamples": 4000, "seed": 1}

    def estimate(values):
        return float(values.mean()), *bootstrap_mean(list(values), **settings)

    found = ratio_of_estimates(estimate(x), estimate(y))
    assert found is not None
    assert found[0] == pytest.approx(x.mean() / y.mean())
    assert found[1:] == pytest.approx(bootstrap_ratio(x, y, **settings), abs=0.003)
    together = ratio_of_estimates(estimate(x), estimate(2 * x))
    assert together is not None
    assert together[2] - together[1] > 0.02  # the ratio is 0.5 in every sample


@pytest.mark.parametrize("n", [1, 5])
def test_a_ratio_over_nothing_but_zeros_is_refused_and_has_no_value(n):
    settings = {"confidence": 0.95, "n_resamples": 50, "seed": 0}
    with pytest.raises(ValueError, match=f"all {n} denominators are 0"):
        bootstrap_ratio(np.ones(n), np.zeros(n), **settings)
    assert np.isnan(ratio_of_sums(np.ones(n), np.zeros(n), **settings)).all()


def test_a_ratio_of_sums_lies_in_its_interval_also_with_some_zeros():
    gains, gaps = np.array([1.0, 0.0, 2.0, 0.0]), np.array([2.0, 0.0, 2.0, 0.0])
    settings = {"confidence": 0.95, "n_resamples": 2000, "seed": 0}
    value, low, high = ratio_of_sums(gains, gaps, **settings)
    assert value == 0.75
    assert (low, high) == bootstrap_ratio(gains, gaps, **settings) == (0.5, 1.0)


def test_nothing_has_no_share():
    assert ratio_of_estimates((1.0, 0.5, 1.5), (2.0, 0.0, 4.0)) is None
    assert ratio_of_estimates((1.0, 0.5, 1.5), (2.0, 0.5, 4.0)) is None


@given(st.floats(-50, 100), st.floats(0.1, 20), st.floats(20, 100), st.floats(0.1, 19))
def test_interval_of_a_ratio_holds_it(x, half_x, y, half_y):
    found = ratio_of_estimates((x, x - half_x, x + half_x), (y, y - half_y, y + half_y))
    assert found is not None
    assert found[1] <= found[0] <= found[2]


def test_series_of_the_same_units_are_drawn_together():
    """Two equal series say no more than one; two that differ in opposite ways have a mean without error."""
    values = list(np.random.default_rng(0).normal(0, 1, 50))
    settings = {"confidence": 0.95, "n_resamples": 500, "seed": 1}
    alone = bootstrap_mean_of_means([values], **settings)
    assert bootstrap_mean_of_means([np.array([values, values])], **settings) == pytest.approx(alone)
    opposite = np.array([values, [-each for each in values]])
    assert bootstrap_mean_of_means([opposite], **settings) == pytest.approx((0, 0), abs=1e-12)
