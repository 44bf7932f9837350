"""Runs of sparse vectors to the summary tables: attack success and flips, KL to the dense vector, its circuits under them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from steering_study.judges.panel import flips
from steering_study.stats import N_RESAMPLES, bootstrap_mean, rate_row, ratio_of_sums
from steering_study.steering.success import asr_row

WHICH = ["criterion", "variant", "draw", "threshold", "target_percent", "sparsity_percent", "n_kept"]


def summarise_sparsity(
    base: pd.DataFrame, steered: pd.DataFrame, settings: pd.DataFrame, *, confidence: float
) -> pd.DataFrame:
    """The `sparsity` table: attack success, flips and degenerate texts of every vector on every test set.

    Args:
        settings: of every method, with its column.
    """
    texts = steered.assign(flipped=flips(base, steered)).merge(
        settings.drop(columns="dimensions"), on=["method", "setting"], validate="many_to_one"
    )
    rows = []
    for key, group in texts.groupby(["method", *WHICH, "condition", "dataset"], sort=False, dropna=False):
        named: dict[str, Any] = dict(zip(["method", *WHICH, "condition", "dataset"], key, strict=True))  # pyright: ignore[reportArgumentType]
        rows.append(
            {
                **named,
                "factor": float(group[f"factor_{named['condition']}"].iloc[0]),
                **asr_row(group, confidence=confidence),
                **rate_row("flip_rate", int(group["flipped"].sum()), len(group), confidence=confidence),
            }
        )
    return pd.DataFrame(rows)


def summarise_kl(divergences: pd.DataFrame, *, confidence: float, seed: int) -> pd.DataFrame:
    """The `sparsity_kl` table: mean KL to the dense vector's predictions, over responses, with bootstrap intervals.

    The draws of dropout are averaged a response.

    Args:
        divergences: the `sparse_kl` table of every method.
    """
    which = ["method", "criterion", "threshold", "target_percent", "sparsity_percent", "n_kept", "dataset"]
    rows = []
    for key, group in divergences.groupby(which, sort=False, dropna=False):
        values = list(group.groupby("prompt_id")["kl_nats"].mean())
        low, high = bootstrap_mean(values, confidence=confidence, n_resamples=N_RESAMPLES, seed=seed)
        named = dict(zip(which, key, strict=True))  # pyright: ignore[reportArgumentType]
        mean = float(np.mean(values))
        rows.append({**named, "n": len(values), "kl_nats": mean, "kl_low": low, "kl_high": high})
    return pd.DataFrame(rows)


def summarise_sparse_circuits(runs: pd.DataFrame, *, confidence: float, seed: int) -> pd.DataFrame:
    """The `sparse_faithfulness` table: the dense vector's circuits under sparse vectors, as faithfulness is formed.

    A sparse vector that changes no prediction has no faithfulness: NaN.

    Args:
        runs: the `sparse_runs` table of every method.
    """
    which = ["method", "target_percent", "nominal_edges", "dataset"]
    rows = []
    for key, group in runs.groupby(which, sort=False):
        gains = (group["value"] - group["base"]).to_numpy()
        gaps = (group["steer"] - group["base"]).to_numpy()
        value, low, high = ratio_of_sums(
            gains, gaps, confidence=confidence, n_resamples=N_RESAMPLES, seed=seed
        )
        rows.append(
            {
                **dict(zip(which, key, strict=True)),  # pyright: ignore[reportArgumentType]
                "n_edges": int(group["n_edges"].iloc[0]),
                "faithfulness": value,
                "low": low,
                "high": high,
                "gap": float(gaps.sum() / max(1, group["n_positions"].sum())),
                "n": int((gaps != 0).sum()),
            }
        )
    return pd.DataFrame(rows)
