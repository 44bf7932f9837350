"""How much of steering a circuit carries, and the smallest circuit that carries enough.

    faithfulness(C) = (m(C) - m(empty)) / (m(M) - m(empty))

m is measured by `circuit_runs`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from steering_study.stats import N_RESAMPLES, ratio_of_sums

_CIRCUIT = ["kind", "circuit_method", "metric", "draw", "nominal_edges"]


def minimum_size(runs: pd.DataFrame, *, threshold: float) -> int:
    """Nominal size of the smallest own circuit whose faithfulness, averaged over the test sets, reaches the threshold.

    Args:
        runs: the `circuit_runs` table of one method.

    Raises:
        ValueError: if none does, as where the size grid lacks the whole graph, or steering has no effect on a test set.
    """
    own = runs[runs["kind"] == "own"]
    sums = own.assign(gain=own["value"] - own["base"], gap=own["steer"] - own["base"])
    sums = sums.groupby(["nominal_edges", "dataset"])[["gain", "gap"]].sum()
    if empty := sorted(sums.index[sums["gap"] == 0].unique("dataset")):
        raise ValueError(
            f"steering changes no prediction on the responses to {', '.join(empty)}, so circuits have no faithfulness there; take "
            "more prompts (circuits.responses), or leave the method out of circuits.methods"
        )
    mean = (sums["gain"] / sums["gap"]).groupby("nominal_edges").mean()
    found = minimum_faithful([int(size) for size in mean.index], list(mean), threshold=threshold)
    if found is None:
        raise ValueError(
            f"no circuit of the grid reaches a faithfulness of {threshold}; add 100 to circuits.sizes_percent"
        )
    return found


def summarise_faithfulness(
    runs: pd.DataFrame, *, method: str, n_edges: int, threshold: float, confidence: float, seed: int
) -> pd.DataFrame:
    """The `faithfulness` table of the circuits that were run with one method's vector.

    On responses of which steering changes no prediction a circuit has no faithfulness: NaN.

    Args:
        runs: the `circuit_runs` table.
        n_edges: edges of the whole graph.
    """
    smallest = minimum_size(runs, threshold=threshold)
    rows = []
    for values, group in runs.groupby([*_CIRCUIT, "dataset"], sort=False):
        gains = (group["value"] - group["base"]).to_numpy()
        gaps = (group["steer"] - group["base"]).to_numpy()
        value, low, high = ratio_of_sums(
            gains, gaps, confidence=confidence, n_resamples=N_RESAMPLES, seed=seed
        )
        size = float(group["n_edges"].mean())
        is_counted = gaps != 0  # responses with an unmasked position
        rows.append(
            {
                **dict(zip([*_CIRCUIT, "dataset"], values, strict=True)),  # pyright: ignore[reportArgumentType]
                "vector_method": method,
                "n_edges": round(size),
                "share_of_edges": size / n_edges,
                "faithfulness": value,
                "low": low,
                "high": high,
                "mean_of_ratios": float(np.mean(gains[is_counted] / gaps[is_counted]))
                if is_counted.any()
                else np.nan,
                "n": int(is_counted.sum()),
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(minimum=(table["kind"] == "own") & (table["nominal_edges"] == smallest))


def size_grid(n_edges: int, *, step: int | None, shares_percent: Sequence[float]) -> list[int]:
    """Circuit sizes: every `step` edges where a step is given, else shares of all edges."""
    if step is not None:
        return [*range(step, n_edges, step), n_edges]
    return sorted({max(1, round(n_edges * share / 100)) for share in shares_percent})


def minimum_faithful(sizes: Sequence[int], faithfulness: Sequence[float], *, threshold: float) -> int | None:
    """The smallest size whose faithfulness reaches the threshold; None where none does."""
    reached = [size for size, value in zip(sizes, faithfulness, strict=True) if value >= threshold]
    return min(reached, default=None)
