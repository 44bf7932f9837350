"""How many dimensions two sets share, and how likely that is by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from scipy.stats import hypergeom


def iou(a: Bool[np.ndarray, "d_model"], b: Bool[np.ndarray, "d_model"]) -> float:
    """Intersection over union of two sets of kept dimensions; 0 where both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def chance_iou(n_a: int, n_b: int, d_model: int) -> float:
    """IoU of random sets of these sizes whose intersection is the one expected, n_a n_b / d (docs/sparsity.md)."""
    shared = n_a * n_b / d_model
    union = n_a + n_b - shared
    return shared / union if union else 0.0


def overlap_p_value(n_shared: int, n_a: int, n_b: int, d_model: int) -> float:
    """Probability that random sets of these sizes share at least so many dimensions: the hypergeometric tail."""
    return float(hypergeom.sf(n_shared - 1, d_model, n_a, n_b))


def joint_p_value(n_shared: int, sizes: Sequence[int], d_model: int) -> float:
    """Probability that several random sets of these sizes have at least so many dimensions in common.

    The size of the intersection is a Markov chain: of j dimensions common to the sets so far, the next set of size n
    holds a hypergeometric number.
    """
    first, *others = sizes
    counts = np.zeros(d_model + 1)
    counts[first] = 1.0
    for size in others:
        after = np.zeros(d_model + 1)
        for j in np.flatnonzero(counts):
            common = np.arange(min(int(j), size) + 1)
            after[common] += counts[j] * hypergeom.pmf(common, d_model, int(j), size)
        counts = after
    return float(min(1.0, counts[n_shared:].sum()))


def adjusted_p_values(p_values: Sequence[float]) -> list[float]:
    """Holm's p-values: they bound the chance of any false claim among all of them.

    p_(i) -> max over j <= i of min(1, (m - j + 1) p_(j))       (Holm 1979)
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted.tolist()
