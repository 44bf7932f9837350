"""Intervals. 95 % over prompts unless the config says otherwise (METHOD 8)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest, bootstrap


def wilson_interval(successes: int, n: int, *, confidence: float) -> tuple[float, float]:
    """Wilson score interval of a rate; it has a width at 0 and at n, where a bootstrap has none.

    Raises:
        ValueError: if there is no observation.
    """
    if n == 0:
        raise ValueError(
            "no observation: a rate of 0 prompts has no interval; look at the counts of prompts.json"
        )
    interval = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_mean(
    values: Sequence[float], *, confidence: float, n_resamples: int, seed: int
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over prompts.

    Raises:
        ValueError: if there is no observation.
    """
    if not len(values):
        raise ValueError("no observation: a mean of 0 values has no interval")
    if len(values) == 1 or np.ptp(values) == 0:  # every resample is the same
        return float(values[0]), float(values[0])
    found = bootstrap(
        (np.asarray(values, dtype=np.float64),),
        np.mean,
        n_resamples=n_resamples,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def bootstrap_ratio(
    numerators: Float[np.ndarray, "n"],
    denominators: Float[np.ndarray, "n"],
    *,
    confidence: float,
    n_resamples: int,
    seed: int,
) -> tuple[float, float]:
    """Percentile bootstrap interval of sum(numerators) / sum(denominators), pairs resampled together.

    Raises:
        ValueError: if there is no observation.
    """
    if not len(numerators):
        raise ValueError("no observation: a ratio of 0 pairs has no interval")
    rows = np.random.default_rng(seed).integers(len(numerators), size=(n_resamples, len(numerators)))
    sums = denominators[rows].sum(1)
    ratios = numerators[rows].sum(1)[sums != 0] / sums[sums != 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_mean_of_means(
    groups: Sequence[Sequence[float]], *, confidence: float, n_resamples: int, seed: int
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of several groups' means, each resampled within itself.

    Raises:
        ValueError: if a group has no observation.
    """
    if not groups or not all(len(group) for group in groups):
        raise ValueError("no observation: a mean of 0 values has no interval")
    rng = np.random.default_rng(seed)
    means = np.zeros(n_resamples)
    for group in groups:
        values = np.asarray(group, dtype=np.float64)
        means += values[rng.integers(len(values), size=(n_resamples, len(values)))].mean(1) / len(groups)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Exact two-sided p-value that as many pairs change one way as the other; 1 where none changes."""
    first, second = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    gained, lost = int((~first & second).sum()), int((first & ~second).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
