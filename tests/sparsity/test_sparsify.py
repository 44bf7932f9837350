"""Sparse vectors by hand: thresholds, orders, what is left, and how long it lasts."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering_study.sparsity.sparsify import (
    CRITERIA,
    Grid,
    Sparse,
    Target,
    area_under_retention,
    drop_order,
    first_equal,
    kept,
    kept_at,
    largest_retained,
    mean_gradient,
    n_below,
    n_of_percent,
    plain_vectors,
    rescaled,
    shared_vectors,
    variants,
    with_chosen_factors,
    with_factors,
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
    """docs/sparsity.md: k comes from |g| < tau, so that the gradient criterion zeroes exactly those."""
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


def test_a_share_that_is_just_kept_counts_as_kept():
    share = (19 / 20 - 10 / 20) / (20 / 20 - 10 / 20)  # nine tenths, in counts of prompts
    assert share < 0.9
    assert largest_retained([0.0, 50.0], [1.0, share], share=0.9) == 50
    assert largest_retained([0.0, 50.0], [1.0, (18 - 10) / 10], share=0.9) == 0


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


PUBLISHED = (0.0, 0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5)  # thresholds
PAIRS = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 40)).map(
    lambda drawn: np.random.default_rng(drawn[0]).normal(size=(2, drawn[1]))
)
GRIDS = st.tuples(  # percents, thresholds, draws
    st.lists(st.floats(0, 100), max_size=6),
    st.lists(st.sampled_from(PUBLISHED), max_size=4),
    st.integers(1, 3),
)


def by_criterion(sparse):
    """Vectors of each criterion and draw, in their order."""
    found = {}
    for each in sparse:
        found.setdefault((each.criterion, each.draw), []).append(each)
    return found


def coordinates(target):
    """What tells targets apart; NaN is equal to nothing."""
    return target.n_dropped, str(target.threshold), str(target.target_percent)


def test_every_entry_of_the_grid_has_its_target():
    """Gradients .1, -.9, -2, .1: below .5 are two, as below .2; below .1 none, below 3 all four."""
    grid = Grid(percents=[75.0, 0.0, 50.0, 45.0], thresholds=[0.1, 0.5, 3.0, 0.2, 1.0], draws=1)
    found = grid.targets(mean_gradient(EFFECTS, VECTOR))
    expected = [
        Target(0, target_percent=0.0),
        Target(0, threshold=0.1),
        Target(2, target_percent=50.0),
        Target(2, target_percent=45.0),
        Target(2, threshold=0.5),
        Target(2, threshold=0.2),
        Target(3, target_percent=75.0),
        Target(3, threshold=1.0),
        Target(4, threshold=3.0),
    ]
    assert list(map(coordinates, found)) == list(map(coordinates, expected))


@given(PAIRS, GRIDS)
def test_targets_grow_and_none_is_lost(pair, drawn):
    (vector, effects), grid = pair, Grid(*drawn)
    found = grid.targets(mean_gradient(effects, vector))
    assert [target.n_dropped for target in found] == sorted(target.n_dropped for target in found)
    assert all(0 <= target.n_dropped <= len(vector) for target in found)
    assert len(found) == len(grid.percents) + len(grid.thresholds)


@given(PAIRS, GRIDS)
def test_every_criterion_and_draw_keeps_as_many_at_each_target(pair, drawn):
    (vector, effects), grid = pair, Grid(*drawn)
    dense, *sparse = plain_vectors(vector, effects, grid, seed=0)
    assert dense.criterion == "none"
    assert np.array_equal(dense.of(vector), vector)
    targets = grid.targets(mean_gradient(effects, vector))
    of_each = by_criterion(sparse)
    assert len(of_each) == (len(CRITERIA) - 1 + grid.draws if targets else 0)
    for rows in of_each.values():
        assert [int((~each.kept).sum()) for each in rows] == [target.n_dropped for target in targets]
        assert [(str(each.threshold), str(each.target_percent)) for each in rows] == [
            coordinates(target)[1:] for target in targets
        ]
        assert all((b.kept <= a.kept).all() for a, b in itertools.pairwise(rows))


def test_vectors_that_are_the_same_are_told():
    """At thresholds 0 and .1 every criterion's vector is the dense one, beyond 3 there is none, .2 and .5 drop the same."""
    found = plain_vectors(VECTOR, EFFECTS, Grid([], [0.0, 0.1, 0.2, 0.5, 3.0], draws=1), seed=0)
    first = first_equal(found)
    of_gradient = [first[i] for i, each in enumerate(found) if each.criterion == "gradient"]
    of_bottom_k = [first[i] for i, each in enumerate(found) if each.criterion == "bottom_k"]
    assert of_gradient == [0, 0, 3, 3, 5]
    assert of_bottom_k[:2] == [0, 0]
    assert of_bottom_k[2] == of_bottom_k[3] not in of_gradient
    assert of_bottom_k[4] == 5
    again = [replace(each, variant="retuned") for each in found]
    assert first_equal(again) == list(range(len(found)))  # they are used at coefficients of their own


def test_plain_vectors_of_a_threshold_are_the_dimensions_below_it():
    found = plain_vectors(VECTOR, EFFECTS, Grid([], [0.5, 1.0], draws=1), seed=0)
    of_each = {
        criterion: [each.of(VECTOR).tolist() for each in rows]
        for (criterion, _), rows in by_criterion(found).items()
    }
    assert of_each["none"] == [VECTOR.tolist()]
    assert of_each["gradient"] == [[0, -1, 0.5, 0], [0, 0, 0.5, 0]]
    assert of_each["indirect_effect"] == [[0, -1, 0.5, 0], [0, 0, 0.5, 0]]
    assert of_each["bottom_k"] == [[4, 0, 0, 2], [4, 0, 0, 0]]


def test_draws_repeat_with_the_seed_and_differ_from_each_other():
    vector, effects = np.random.default_rng(0).normal(size=(2, 60))

    def draws(seed):
        found = plain_vectors(vector, effects, Grid([50.0, 80.0], [], draws=3), seed=seed)
        return [
            [each.kept.tolist() for each in rows]
            for (criterion, _), rows in by_criterion(found).items()
            if criterion == "dropout"
        ]

    first = draws(1)
    assert len(first) == 3
    assert draws(1) == first
    assert first[0] != first[1] != first[2] != first[0]
    assert draws(2)[0] != first[0]


def test_kept_at_a_percent_is_what_the_grid_makes_of_it():
    vector, effects = np.random.default_rng(0).normal(size=(2, 60))
    found = by_criterion(plain_vectors(vector, effects, Grid([50.0, 80.0], [], draws=1), seed=0))
    for criterion in ("gradient", "indirect_effect", "bottom_k"):
        for each in found[criterion, 0]:
            assert np.array_equal(kept_at(criterion, vector, effects, each.target_percent), each.kept)


def test_rescaled_vectors_have_the_dense_norm_and_retuned_ones_their_own():
    asked = {"criteria": ["gradient", "bottom_k"], "percents": [50.0, 75.0]}
    for variant, lengthens in (("rescaled", True), ("retuned", False)):
        found = variants(VECTOR, EFFECTS, variant, **asked)
        assert [(each.criterion, each.target_percent, each.variant) for each in found] == [
            (criterion, percent, variant) for criterion in asked["criteria"] for percent in asked["percents"]
        ]
        for each in found:
            sparse = VECTOR * each.kept
            scale = np.linalg.norm(VECTOR) / np.linalg.norm(sparse) if lengthens else 1.0
            assert each.of(VECTOR) == pytest.approx(scale * sparse)


def test_factors_multiply_the_coefficient():
    retuned = variants(VECTOR, EFFECTS, "retuned", criteria=["gradient"], percents=[50.0, 75.0])
    assert {each.factor(condition) for each in retuned for condition in ("induce", "bypass")} == {1.0}
    tried = with_factors(retuned, [1.0, 3.0])
    assert [(each.target_percent, each.factor("induce"), each.factor("bypass")) for each in tried] == [
        (50.0, 1.0, 1.0),
        (50.0, 3.0, 3.0),
        (75.0, 1.0, 1.0),
        (75.0, 3.0, 3.0),
    ]
    chosen = {
        ("gradient", 75.0): {"induce": 2.0, "bypass": 1.5},
        ("gradient", 50.0): {"induce": 1.0, "bypass": 3.0},
    }
    used = with_chosen_factors(retuned, chosen)
    assert [(each.factor("induce"), each.factor("bypass")) for each in used] == [(1.0, 3.0), (2.0, 1.5)]
    assert all(np.array_equal(a.kept, b.kept) for a, b in zip(used, retuned, strict=True))


def test_shared_and_unshared_dimensions_add_up_to_the_dense_vector():
    masks = {
        50.0: [np.array([1, 1, 0, 0], dtype=bool), np.array([0, 1, 1, 0], dtype=bool)],
        75.0: [np.array([1, 0, 0, 0], dtype=bool), np.array([0, 1, 0, 0], dtype=bool)],  # nothing in common
        0.0: [np.ones(4, dtype=bool), np.ones(4, dtype=bool)],  # nothing else
    }
    found = shared_vectors(masks)
    assert [(each.criterion, each.target_percent) for each in found] == [("shared", 50.0), ("unshared", 50.0)]
    shared, unshared = found
    assert shared.of(VECTOR).tolist() == [0, -1, 0, 0]
    assert (shared.of(VECTOR) + unshared.of(VECTOR)).tolist() == VECTOR.tolist()


def test_vectors_and_effects_of_two_models_are_refused():
    # unwrapped: under the checked shapes of these tests the annotation refuses it first
    with pytest.raises(ValueError, match="width 4 with effects of 3 dimensions: they belong to different"):
        inspect.unwrap(plain_vectors)(VECTOR, EFFECTS[:3], Grid([50.0], [], 1), seed=0)
    with pytest.raises(ValueError, match="width 4 with effects of 3 dimensions: they belong to different"):
        inspect.unwrap(kept_at)("gradient", VECTOR, EFFECTS[:3], 50.0)


def test_nothing_left_is_not_rescaled():
    with pytest.raises(ValueError, match="zero vector has no direction"):
        Sparse("bottom_k", np.array([False, False, True]), "rescaled").of(np.array([1.0, 2.0, 0.0]))


def test_rescaled_retuned_and_shared_vectors_are_not_the_paper_s():
    everything = np.ones(4, dtype=bool)
    ours = [Sparse("gradient", everything, "rescaled"), Sparse("bottom_k", everything, "retuned")]
    ours += [Sparse("shared", everything), Sparse("unshared", everything)]
    assert all(each.is_beyond_paper for each in ours)
    assert not any(Sparse(criterion, everything).is_beyond_paper for criterion in ("none", *CRITERIA))
