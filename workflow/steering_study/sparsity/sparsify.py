"""Sparse steering vectors: which dimensions go first, and what is left (docs/sparsity.md).

With IE the mean over patching samples of shift_i times the integrated gradient, and g = IE / s, dimensions are zeroed

    gradient          by |g|, the smallest first        published: those with |g| below a threshold
    indirect_effect   by |IE|, the smallest first
    bottom_k          by |s|, the smallest first
    dropout           at random

A criterion is an order of dimensions; a sparsity takes the first k of it. Thresholds of the gradient fix k for all four,
so that they are compared at equal sparsity. Beyond the paper, a sparse vector may be rescaled to the norm of the dense one, or
used at a coefficient of its own (retuned), and the dimensions that every method keeps are tried alone and left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

Criterion = Literal["gradient", "indirect_effect", "bottom_k", "dropout"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
PARTS = ("shared", "unshared")  # of a vector, by what all methods keep
Vector = Float[np.ndarray, "d_model"]
ROUNDING = (
    1e-9  # far below what one prompt changes: shares are ratios of counts, and equal ones may differ by less
)


def mean_gradient(effects: Float[np.ndarray, "d_model_b"], vector: Vector) -> Vector:
    """G = IE / s, with the sign and size of the coefficient in it; 0 where the vector is 0.

    Raises:
        ValueError: if the widths differ.
    """
    _check_widths(vector, effects)
    return np.divide(effects, vector, out=np.zeros_like(effects), where=vector != 0)


def drop_order(
    criterion: str,
    vector: Vector,
    effects: Float[np.ndarray, "d_model_b"],
    *,
    rng: np.random.Generator | None = None,
) -> Int[np.ndarray, "d_model"]:
    """Dimensions in the order in which a criterion zeroes them; of equal ones the first goes first.

    Args:
        effects: indirect effect of each dimension.
        rng: of dropout.

    Raises:
        ValueError: if the criterion is unknown, the widths differ, or dropout has no generator.
    """
    _check_widths(vector, effects)
    if criterion == "dropout":
        if rng is None:
            raise ValueError("dropout needs a generator; give one seeded from the config's seed")
        return rng.permutation(len(vector))
    sizes = {
        "gradient": lambda: mean_gradient(effects, vector),
        "indirect_effect": lambda: effects,
        "bottom_k": lambda: vector,
    }
    if criterion not in sizes:
        raise ValueError(f"criterion={criterion!r} is unknown; expected one of {', '.join(CRITERIA)}")
    return np.argsort(np.abs(sizes[criterion]()), kind="stable")


def _check_widths(vector: Vector, effects: Float[np.ndarray, "d_model_b"]) -> None:
    if vector.shape != effects.shape:
        raise ValueError(
            f"a vector of width {len(vector)} with effects of {len(effects)} dimensions: they belong to different models"
        )


def n_below(gradient: Vector, threshold: float) -> int:
    """K of a published threshold: how many dimensions have |g| below it; none at 0."""
    return int((np.abs(gradient) < threshold).sum())


def n_of_percent(sparsity_percent: float, d_model: int) -> int:
    """K of a target sparsity, rounded to the nearest dimension; at least one dimension stays."""
    return min(round(sparsity_percent * d_model / 100), d_model - 1)


def kept(order: Int[np.ndarray, "d_model"], n_dropped: int) -> Bool[np.ndarray, "d_model"]:
    """Which dimensions stay when the first of an order are zeroed."""
    mask = np.ones(len(order), dtype=bool)
    mask[order[:n_dropped]] = False
    return mask


def rescaled(sparse: Vector, dense: Vector) -> Vector:
    """A sparse vector at the norm of the dense one.

    Raises:
        ValueError: if nothing is left of it.
    """
    norm = np.linalg.norm(sparse)
    if norm == 0:
        raise ValueError("a zero vector has no direction to rescale; lower the sparsity")
    return sparse * (np.linalg.norm(dense) / norm)


@dataclass(frozen=True)
class Sparse:
    """One sparse vector: what is kept of a dense one, by which criterion and at which sparsity.

    criterion: one of CRITERIA; none, the dense vector; shared, the dimensions that every method keeps; unshared, all others.
    variant: plain, rescaled or retuned.
    threshold, target_percent: what its sparsity comes from, NaN where it comes from the other or from none.
    factors: multiple of the coefficient, by condition.
    """

    criterion: str
    kept: Bool[np.ndarray, "d_model"]
    variant: str = "plain"
    draw: int = 0
    threshold: float = math.nan
    target_percent: float = math.nan
    factors: Mapping[str, float] | None = None

    def of(self, dense: Vector) -> Vector:
        """The sparse vector of a dense one."""
        sparse = dense * self.kept
        return rescaled(sparse, dense) if self.variant == "rescaled" else sparse

    @property
    def is_beyond_paper(self) -> bool:
        """Whether it is one of our own: rescaled, retuned, or made of what all methods keep."""
        return self.variant != "plain" or self.criterion in PARTS

    def factor(self, condition: str) -> float:
        """The multiple of the coefficient that it is used at."""
        return 1.0 if self.factors is None else self.factors[condition]


@dataclass(frozen=True)
class Target:
    """A sparsity, and what it comes from."""

    n_dropped: int  # 0: the dense vector; all of them: none is left
    threshold: float = math.nan
    target_percent: float = math.nan


@dataclass(frozen=True)
class Grid:
    """Sparsities that vectors are made at: target percents, and thresholds of the gradient."""

    percents: Sequence[float]
    thresholds: Sequence[float]
    draws: int  # of dropout

    def targets(self, gradient: Vector) -> list[Target]:
        """One for every entry, growing: also where it drops nothing or everything, or as many dimensions as another."""
        d_model = len(gradient)
        by_percent = [Target(n_of_percent(each, d_model), target_percent=each) for each in self.percents]
        by_threshold = [Target(n_below(gradient, each), threshold=each) for each in self.thresholds]
        return sorted([*by_percent, *by_threshold], key=lambda each: each.n_dropped)


def plain_vectors(vector: Vector, effects: Vector, grid: Grid, *, seed: int) -> list[Sparse]:
    """The dense vector, and every criterion and draw at every sparsity of the grid."""
    everything = np.ones(len(vector), dtype=bool)
    found, targets = [Sparse("none", everything)], grid.targets(mean_gradient(effects, vector))
    for criterion in CRITERIA:
        for draw in range(grid.draws if criterion == "dropout" else 1):
            order = drop_order(criterion, vector, effects, rng=np.random.default_rng([seed, draw]))
            found += [
                Sparse(
                    criterion,
                    kept(order, each.n_dropped),
                    draw=draw,
                    threshold=each.threshold,
                    target_percent=each.target_percent,
                )
                for each in targets
            ]
    return found


def kept_at(criterion: str, vector: Vector, effects: Vector, percent: float) -> Bool[np.ndarray, "d_model"]:
    """What a criterion keeps at a target sparsity."""
    return kept(drop_order(criterion, vector, effects), n_of_percent(percent, len(vector)))


def variants(
    vector: Vector,
    effects: Vector,
    variant: str,
    *,
    criteria: Sequence[str],
    percents: Sequence[float],
) -> list[Sparse]:
    """Vectors of a few criteria and sparsities, to be rescaled or retuned."""
    return [
        Sparse(criterion, kept_at(criterion, vector, effects, percent), variant, target_percent=percent)
        for criterion in criteria
        for percent in percents
    ]


def with_factors(sparse: Sequence[Sparse], factors: Sequence[float]) -> list[Sparse]:
    """Each vector at every multiple of its coefficient."""
    return [
        replace(each, factors={"induce": factor, "bypass": factor}) for each in sparse for factor in factors
    ]


def with_chosen_factors(
    sparse: Sequence[Sparse], chosen: Mapping[tuple[str, float], Mapping[str, float]]
) -> list[Sparse]:
    """Each vector at the multiples chosen for its criterion and target percent."""
    return [replace(each, factors=chosen[each.criterion, each.target_percent]) for each in sparse]


def shared_vectors(
    masks: Mapping[float, Sequence[Bool[np.ndarray, "d_model"]]],
) -> list[Sparse]:
    """The dimensions that every method keeps alone, and all others, at each sparsity at which there are both.

    Args:
        masks: what each method keeps, by target percent.
    """
    found = []
    for percent, kept_by_method in masks.items():
        shared = np.logical_and.reduce(list(kept_by_method))
        if shared.any() and not shared.all():
            found += [
                Sparse("shared", shared, target_percent=percent),
                Sparse("unshared", ~shared, target_percent=percent),
            ]
    return found


def first_equal(sparse: Sequence[Sparse]) -> list[int]:
    """For each vector the first that is the same because entries of a grid coincide, so that its texts are written once.

    Plain vectors that keep everything, or nothing, are the same whatever chose them; others if one criterion and draw kept the
    same dimensions.
    """
    first: dict[Any, int] = {}

    def same_as(number: int, each: Sparse) -> Any:
        if each.variant != "plain":
            return number
        kept = each.kept.tobytes()
        return kept if each.kept.all() or not each.kept.any() else (each.criterion, each.draw, kept)

    return [first.setdefault(same_as(number, each), number) for number, each in enumerate(sparse)]


def area_under_retention(sparsity_percent: Sequence[float], retention: Sequence[float]) -> float:
    """Mean retention over sparsities from the least to the greatest, by the trapezoid rule.

    Raises:
        ValueError: if there are fewer than two sparsities.
    """
    if len(sparsity_percent) < 2:
        raise ValueError("an area needs at least two sparsities; give a longer grid")
    x, y = (
        np.asarray(values, dtype=np.float64)[np.argsort(sparsity_percent)]
        for values in (sparsity_percent, retention)
    )
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def largest_retained(sparsity_percent: Sequence[float], retention: Sequence[float], *, share: float) -> float:
    """Largest sparsity up to which every sparsity of the grid keeps a share of the dense effect; 0 if none does."""
    best = 0.0
    for percent, kept_share in sorted(zip(sparsity_percent, retention, strict=True)):
        if kept_share < share - ROUNDING:
            break
        best = float(percent)
    return best
