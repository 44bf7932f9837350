"""Controls: a direction that knows nothing of the labels."""

from __future__ import annotations

import pytest
import torch

from steering_study.vectors.controls import random_direction, shuffled_groups, with_norm


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_control_has_the_norm_that_is_asked_for_and_nothing_stays_nothing():
    assert with_norm(torch.tensor([3.0, -4.0]), torch.tensor(10.0)).tolist() == pytest.approx([6.0, -8.0])
    assert with_norm(torch.zeros(3), torch.tensor(0.0)).tolist() == [0.0] * 3  # DIM before the first block
    assert with_norm(torch.zeros(3), torch.tensor(2.0)).tolist() == [0.0] * 3


def test_random_direction_is_a_unit_vector_of_its_seed():
    one, again, other = (random_direction(64, generator=draw(seed)) for seed in (1, 1, 2))
    assert one.norm().item() == pytest.approx(1, abs=1e-6)
    assert torch.equal(one, again)
    assert abs(float(one @ other)) < 0.5


def test_shuffled_groups_hold_half_of_each_class():
    labels = ["harmful", "harmless", "harmless", "harmful", "harmful"] * 20
    first, second = shuffled_groups(labels, generator=draw(0))
    assert sorted(first + second) == list(range(100))
    assert [sum(labels[i] == "harmful" for i in group) for group in (first, second)] == [30, 30]
    assert [len(first), len(second)] == [50, 50]


def test_shuffled_groups_follow_their_seed():
    labels = ["harmful"] * 20 + ["harmless"] * 20
    one, again, other = (shuffled_groups(labels, generator=draw(seed)) for seed in (1, 1, 2))
    assert one == again
    assert set(one[0]) != set(other[0])


def test_single_class_is_refused():
    with pytest.raises(ValueError, match="two classes"):
        shuffled_groups(["harmful"] * 3, generator=draw(0))
