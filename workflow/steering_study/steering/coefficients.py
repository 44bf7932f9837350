"""Dose-response curves, and the coefficient that is chosen on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from steering_study.stats import wilson_interval
from steering_study.steering.success import summarise_flips


def choose_coefficient(curve: pd.DataFrame, *, max_degenerate: float, confidence: float) -> pd.Series:
    """Mark the middle of the coefficients of a dose-response curve that flip as much as the best, few texts being degenerate.

    Among coefficients with degenerate_rate <= max_degenerate (all of them, if none has), those whose flip_rate
    is not below the Wilson interval of the largest, which a few prompts cannot tell apart; of these the nearest, as a
    ratio, to the geometric mean of the smallest and the largest: as far from too little and from too much as the grid
    allows. Of two equally near the one that flips more, then the smaller.

    Args:
        curve: coefficient, flip_rate, n and degenerate_rate, of one method and direction.
    """
    allowed = curve[curve["degenerate_rate"] <= max_degenerate]
    if allowed.empty:
        allowed = curve
    best = allowed.loc[allowed["flip_rate"].idxmax()]
    lowest, _ = wilson_interval(round(best["flip_rate"] * best["n"]), int(best["n"]), confidence=confidence)
    good = allowed[allowed["flip_rate"] >= lowest]
    size = np.log(good["coefficient"].abs())
    distance = (size - (size.min() + size.max()) / 2).abs().round(9)
    ranked = good.assign(distance=distance, size=size).sort_values(
        ["distance", "flip_rate", "size"], ascending=[True, False, True]
    )
    return pd.Series(curve.index == ranked.index[0], index=curve.index)


def matched_coefficients(curve: pd.DataFrame, *, flip_rate: float) -> pd.Series:
    """Mark the smallest coefficient of a dose-response curve that flips at least a share of the prompts.

    None is marked where the curve never gets there.

    Args:
        curve: coefficient and flip_rate, of one method and condition.
    """
    reached = curve.loc[curve["flip_rate"] >= flip_rate, "coefficient"].abs()
    marked = pd.Series(False, index=curve.index)
    if len(reached):
        marked.loc[reached.idxmin()] = True
    return marked


def dose_response(
    base: pd.DataFrame,
    steered: pd.DataFrame,
    *,
    model: str,
    confidence: float,
    max_degenerate: float,
    fixed: Mapping[str, float] | None,
) -> pd.DataFrame:
    """The `dose_response` table of one method: each coefficient, and which one is selected.

    Args:
        fixed: coefficient of each condition where it is not to be chosen from the curve.
    """
    pooled = steered.assign(dataset="validation")
    table = summarise_flips(base, pooled, model=model, confidence=confidence)
    curves = []
    for condition, curve in table.groupby("condition", sort=False):
        if fixed is None:
            selected = choose_coefficient(curve, max_degenerate=max_degenerate, confidence=confidence)
        else:
            selected = curve["coefficient"] == fixed[str(condition)]
            if not selected.any():
                raise ValueError(
                    f"coefficient {fixed[str(condition)]} of {condition} is not among those swept: "
                    f"{list(curve['coefficient'])}; add it to vectors.dim.coefficients.{condition}"
                )
        curves.append(curve.assign(selected=selected))
    return pd.concat(curves, ignore_index=True).drop(columns="dataset")
