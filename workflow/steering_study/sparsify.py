"""Sparse steering vectors: which dimensions go first, and what is left (METHOD 6).

With IE the mean over patching samples of shift_i times the integrated gradient, and g = IE / s, dimensions are zeroed

    gradient          by |g|, the smallest first        published: those with |g| below a threshold
    indirect_effect   by |IE|, the smallest first
    bottom_k          by |s|, the smallest first
    dropout           at random

A criterion is an order of dimensions; a sparsity takes the first k of it. Thresholds of the gradient fix k for all four,
so that they are compared at equal sparsity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

Criterion = Literal["gradient", "indirect_effect", "bottom_k", "dropout"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
Vector = Float[np.ndarray, "d_model"]


def mean_gradient(effects: Vector, vector: Vector) -> Vector:
    """G = IE / s, with the sign and size of the coefficient in it; 0 where the vector is 0."""
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
    if vector.shape != effects.shape:
        raise ValueError(
            f"a vector of width {len(vector)} with effects of {len(effects)} dimensions: they belong to different models"
        )
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
        if kept_share < share:
            break
        best = float(percent)
    return best
