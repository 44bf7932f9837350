"""The cosine of two vectors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering_study.vectors.agreement import cosine

VECTORS = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).standard_normal((2, 16)))


def test_cosine_by_hand():
    assert cosine(np.array([3.0, 4.0]), np.array([4.0, 3.0])) == pytest.approx(24 / 25)
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, -2.0])) == 0


@given(VECTORS)
def test_cosine_is_symmetric_bounded_and_one_with_itself(pair):
    a, b = pair
    assert cosine(a, b) == cosine(b, a)
    assert -1 <= cosine(a, b) <= 1
    assert cosine(a, a) == pytest.approx(1)


@given(VECTORS, st.floats(1e-3, 1e3))
def test_cosine_ignores_length_and_changes_sign_with_direction(pair, scale):
    a, b = pair
    assert cosine(scale * a, b) == pytest.approx(cosine(a, b))
    assert cosine(-a, b) == pytest.approx(-cosine(a, b))


def test_cosine_of_small_numbers_is_computed_in_float64():
    a = np.full(4, 1e-30, dtype=np.float32)  # its square is no float32
    assert cosine(a, a) == pytest.approx(1)


def test_vectors_of_two_models_are_refused():
    # unwrapped: under the checked shapes of these tests the annotation refuses it first
    with pytest.raises(ValueError, match="widths 3 and 4 belong to different models"):
        inspect.unwrap(cosine)(np.ones(3), np.ones(4))


def test_zero_vector_has_no_direction():
    with pytest.raises(ValueError, match="zero vector"):
        cosine(np.zeros(3), np.ones(3))
