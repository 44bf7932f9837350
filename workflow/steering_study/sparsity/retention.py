"""How much of the dense effect sparse vectors keep, and up to which sparsity.

    retention(k) = (success(k) - success(unsteered)) / (success(dense) - success(unsteered))

success is the share of texts that steering is meant to bring about: refusals under induce, others under bypass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from steering_study.sparsity.sparsify import PARTS, ROUNDING, area_under_retention, largest_retained
from steering_study.stats import N_RESAMPLES

DENSE = "none"  # the criterion of a vector from which nothing is left out
POOLED = "main sets"  # mean over the main test sets, as a dataset
MAIN_CRITERION = "gradient"  # the paper's own


def summarise_retention(
    base: pd.DataFrame,
    steered: pd.DataFrame,
    settings: pd.DataFrame,
    *,
    main_sets: Sequence[str],
    retained: float,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """The `retention` table: how long each criterion keeps the dense effect, with bootstrap intervals over prompts.

    A dense vector that changes nothing leaves no effect to keep: its rows hold NaN.
    """
    rows = []
    texts = steered.merge(settings, on=["method", "setting"], validate="many_to_one")
    plain = texts[texts["variant"] == "plain"]
    for method, own in plain.groupby("method", sort=False):
        dense = own[own["criterion"] == DENSE]
        for criterion in [name for name in own["criterion"].unique() if name not in (DENSE, *PARTS)]:
            of_criterion = own[own["criterion"] == criterion]
            cells = {
                str(dataset): _successes(base, dense[dense["dataset"] == dataset], rows_)
                for dataset, rows_ in of_criterion.groupby("dataset", sort=False)
            }
            percents = [0.0, *sorted(of_criterion["sparsity_percent"].unique())]
            groups = {name: [cell] for name, cell in cells.items()}
            groups[POOLED] = [cells[name] for name in main_sets if name in cells]
            for dataset, cell in groups.items():
                summary = _retention(
                    cell, percents, retained=retained, confidence=confidence, rng=np.random.default_rng(seed)
                )
                rows.append(
                    {
                        "method": method,
                        "criterion": criterion,
                        "dataset": dataset,
                        "retained": retained,
                        **summary,
                    }
                )
    return pd.DataFrame(rows)


Success = Float[np.ndarray, "line prompt"]  # lines: unsteered, dense, then growing sparsity


def _successes(base: pd.DataFrame, dense: pd.DataFrame, sparse: pd.DataFrame) -> Success:
    """Share of the draws that succeed, by prompt, unsteered, dense and at each sparsity."""
    wanted = dense["condition"].iloc[0] == "induce"
    by_draw = (sparse["refused"] == wanted).groupby([sparse["sparsity_percent"], sparse["prompt_id"]]).mean()
    lines = by_draw.unstack("prompt_id").sort_index()
    prompts = lines.columns
    before = base.set_index("prompt_id").loc[prompts, "refused"].to_numpy() == wanted
    full = dense.set_index("prompt_id").loc[prompts, "refused"].to_numpy() == wanted
    return np.vstack([before, full, lines.to_numpy()]).astype(np.float64)


def _retention(
    cells: Sequence[Success],
    percents: Sequence[float],
    *,
    retained: float,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, float | int]:
    """Area under the curve and largest sparsity that keeps enough, of the mean over cells."""

    def measure(means: Float[np.ndarray, "line"]) -> tuple[float, float]:
        effect = means[1] - means[0]
        if effect <= ROUNDING:
            return np.nan, np.nan
        kept = (means[1:] - means[0]) / effect
        is_curve = max(percents) > 0  # else nothing but the dense vector was tried
        return (
            area_under_retention(percents, kept.tolist()) if is_curve else np.nan,
            largest_retained(percents, kept.tolist(), share=retained),
        )

    measured = measure(np.mean([cell.mean(1) for cell in cells], axis=0))
    resampled = np.array(
        [
            measure(
                np.mean(
                    [cell[:, rng.integers(cell.shape[1], size=cell.shape[1])].mean(1) for cell in cells],
                    axis=0,
                )
            )
            for _ in range(N_RESAMPLES)
        ]
    )
    tail = (1 - confidence) / 2
    usable = resampled[~np.isnan(resampled).all(1)]
    low, high = np.quantile(usable, [tail, 1 - tail], axis=0) if len(usable) else np.full((2, 2), np.nan)
    return {
        "n": sum(cell.shape[1] for cell in cells),
        "dense_effect": float(np.mean([cell[1].mean() - cell[0].mean() for cell in cells])),
        "area": measured[0],
        "area_low": float(low[0]),
        "area_high": float(high[0]),
        "largest_percent": measured[1],
        "largest_low": float(low[1]),
        "largest_high": float(high[1]),
    }
