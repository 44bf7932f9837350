"""Agreement of vectors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering_study.sparsity.chance import adjusted_p_values, chance_iou, iou, joint_p_value, overlap_p_value


def test_iou_is_symmetric_one_with_itself_and_zero_of_disjoint_sets():
    a, b = np.array([True, True, False, False]), np.array([False, True, True, False])
    assert iou(a, b) == iou(b, a) == pytest.approx(1 / 3)
    assert iou(a, a) == 1
    assert iou(a, ~a) == 0
    assert iou(a & ~a, a & ~a) == 0


def test_chance_iou_is_the_mean_of_random_sets():
    generator, d_model = np.random.default_rng(0), 400
    found = []
    for _ in range(300):
        a, b = np.zeros(d_model, dtype=bool), np.zeros(d_model, dtype=bool)
        a[generator.permutation(d_model)[:120]] = True
        b[generator.permutation(d_model)[:80]] = True
        found.append(iou(a, b))
    assert chance_iou(120, 80, d_model) == pytest.approx(np.mean(found), abs=0.004)
    assert chance_iou(400, 400, 400) == 1


def test_p_value_of_an_overlap_is_a_count_of_sets():
    """2 kept of 4 each: sharing both has one way in six, sharing at least one five."""
    assert overlap_p_value(2, 2, 2, 4) == pytest.approx(1 / 6)
    assert overlap_p_value(1, 2, 2, 4) == pytest.approx(5 / 6)
    assert overlap_p_value(0, 2, 2, 4) == pytest.approx(1)


@given(st.integers(1, 30).flatmap(lambda d: st.tuples(*[st.integers(0, d)] * 3, st.just(d))))
def test_joint_p_value_of_two_sets_is_that_of_their_overlap(drawn):
    n_shared, n_a, n_b, d_model = drawn
    assert joint_p_value(n_shared, [n_a, n_b], d_model) == pytest.approx(
        overlap_p_value(n_shared, n_a, n_b, d_model)
    )


@pytest.mark.parametrize("sizes", [(2, 3, 3), (4, 3, 2), (5, 1, 4), (3, 3, 3, 4)])
def test_joint_p_value_is_a_count_of_all_sets(sizes):
    d_model = 5
    sets = itertools.product(*(itertools.combinations(range(d_model), size) for size in sizes))
    common = np.array([len(set.intersection(*map(set, chosen))) for chosen in sets])
    for n_shared in range(d_model + 1):
        expected = (common >= n_shared).mean()
        assert joint_p_value(n_shared, sizes, d_model) == pytest.approx(expected)


def test_joint_p_value_is_one_of_what_is_certain_and_none_of_what_cannot_be():
    assert joint_p_value(0, [3, 5, 2], 10) == pytest.approx(1)
    assert joint_p_value(7, [9, 9, 9], 10) == pytest.approx(1)  # each leaves out one
    assert joint_p_value(4, [4], 10) == 1
    assert joint_p_value(3, [3, 5, 2], 10) == 0


def test_joint_p_value_does_not_depend_on_the_order_of_sets():
    values = [joint_p_value(4, sizes, 64) for sizes in itertools.permutations((20, 32, 12))]
    assert values == pytest.approx([values[0]] * 6)
    assert 0 < values[0] < 1


def test_adjusted_p_values_are_holm_s():
    assert adjusted_p_values([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjusted_p_values([0.9, 0.8]) == pytest.approx([1, 1])
    assert adjusted_p_values([]) == []
