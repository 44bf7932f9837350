"""Intervals. 95 % over prompts unless the config says otherwise (docs/stats.md)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest, bootstrap

Estimate = tuple[float, float, float]  # value, low, high
N_RESAMPLES = 2000  # of a bootstrap (docs/stats.md)


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


def rate_row(name: str, successes: int, n: int, *, confidence: float) -> dict[str, float]:
    """A rate with its `wilson_interval` as columns of a table: asr, asr_low, asr_high; of flip_rate, flip_low and flip_high."""
    low, high = wilson_interval(successes, n, confidence=confidence)
    stem = name.removesuffix("_rate")
    return {name: successes / n, f"{stem}_low": low, f"{stem}_high": high}


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
        ValueError: if there is no observation, or every denominator is 0.
    """
    if not len(numerators):
        raise ValueError("no observation: a ratio of 0 pairs has no interval")
    if not np.any(denominators):
        raise ValueError(
            f"all {len(denominators)} denominators are 0: their ratio is undefined and has no interval"
        )
    rows = np.random.default_rng(seed).integers(len(numerators), size=(n_resamples, len(numerators)))
    sums = denominators[rows].sum(1)
    ratios = numerators[rows].sum(1)[sums != 0] / sums[sums != 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)


def ratio_of_sums(
    numerators: Float[np.ndarray, "n"],
    denominators: Float[np.ndarray, "n"],
    *,
    confidence: float,
    n_resamples: int,
    seed: int,
) -> Estimate:
    """The ratio sum(numerators) / sum(denominators) with its `bootstrap_ratio`; NaN where the denominators sum to 0."""
    total = float(denominators.sum())
    if total == 0:
        return np.nan, np.nan, np.nan
    low, high = bootstrap_ratio(
        numerators, denominators, confidence=confidence, n_resamples=n_resamples, seed=seed
    )
    return float(numerators.sum()) / total, low, high


def bootstrap_mean_of_means(
    groups: Sequence[Sequence[float] | Float[np.ndarray, "series unit"]],
    *,
    confidence: float,
    n_resamples: int,
    seed: int,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of several groups' means, each resampled within itself.

    Args:
        groups: observations; or several series of the same units, as of models that answer the same prompts, whose units
            are drawn together, since what is hard for one may be hard for all.

    Raises:
        ValueError: if a group has no observation.
    """
    if not groups or not all(len(group) for group in groups):
        raise ValueError("no observation: a mean of 0 values has no interval")
    rng = np.random.default_rng(seed)
    means = np.zeros(n_resamples)
    for group in groups:
        values = np.atleast_2d(np.asarray(group, dtype=np.float64))
        n_units = values.shape[1]
        drawn = values[:, rng.integers(n_units, size=(n_resamples, n_units))]
        means += drawn.mean((0, 2)) / len(groups)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Exact two-sided p-value that as many pairs change one way as the other; 1 where none changes."""
    first, second = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    gained, lost = int((~first & second).sum()), int((first & ~second).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def mean_of_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of independent estimates with its interval, from theirs.

        low = mean - 1/k sqrt(Σ (x_i - low_i)²), high alike       (Zou and Donner 2008, MOVER)

    Raises:
        ValueError: if there is none.
    """
    if not estimates:
        raise ValueError("no estimate: a mean of 0 values has no interval")
    values, lows, highs = np.asarray(estimates, dtype=np.float64).T
    mean, k = values.mean(), len(values)
    low = mean - np.sqrt(((values - lows) ** 2).sum()) / k
    high = mean + np.sqrt(((highs - values) ** 2).sum()) / k
    return float(mean), float(low), float(high)


def ratio_of_estimates(numerator: Estimate, denominator: Estimate) -> Estimate | None:
    """Ratio x / y of two estimates with its interval, from theirs; None unless y is surely above 0.

        low = (xy - sqrt((xy)² - l_x u_y (2x - l_x)(2y - u_y))) / (u_y (2y - u_y))
        high = (xy + sqrt((xy)² - u_x l_y (2x - u_x)(2y - l_y))) / (l_y (2y - l_y))       (Donner and Zou 2012)

    The formula is of independent estimates; of two that rise and fall together the interval is too wide, never too narrow.
    """
    (x, low_x, high_x), (y, low_y, high_y) = numerator, denominator
    if low_y <= 0 or 2 * y <= high_y:
        return None

    def end(of_x: float, of_y: float, sign: int) -> float:
        root = (x * y) ** 2 - of_x * of_y * (2 * x - of_x) * (2 * y - of_y)
        return (x * y + sign * np.sqrt(max(root, 0.0))) / (of_y * (2 * y - of_y))

    return x / y, float(end(low_x, high_y, -1)), float(end(high_x, low_y, 1))
