"""The sparse vectors of a run as a table, and the coefficient that each of them prefers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from steering_study.judges.panel import flips
from steering_study.sparsity.sparsify import Sparse
from steering_study.steering.coefficients import choose_coefficient

CONDITIONS = ("induce", "bypass")


def settings_table(sparse: Sequence[Sparse]) -> pd.DataFrame:
    """The `sparse_settings` table: every vector, numbered, with the dimensions that it keeps."""
    return pd.DataFrame(
        [
            {
                "setting": number,
                "criterion": each.criterion,
                "variant": each.variant,
                "draw": each.draw,
                "threshold": each.threshold,
                "target_percent": each.target_percent,
                "sparsity_percent": 100 * float((~each.kept).mean()),
                "n_kept": int(each.kept.sum()),
                **{f"factor_{condition}": each.factor(condition) for condition in CONDITIONS},
                "dimensions": np.flatnonzero(each.kept).tolist(),
            }
            for number, each in enumerate(sparse)
        ]
    )


def mask_of(dimensions: Sequence[int] | Int[np.ndarray, "kept"], d_model: int) -> Bool[np.ndarray, "d_model"]:
    """Kept dimensions as a mask."""
    mask = np.zeros(d_model, dtype=bool)
    mask[list(dimensions)] = True
    return mask


def choose_factors(
    settings: pd.DataFrame,
    base: pd.DataFrame,
    steered: pd.DataFrame,
    *,
    max_degenerate: float,
    confidence: float,
) -> dict[tuple[str, float], dict[str, float]]:
    """The factor that each criterion and sparsity prefers on validation prompts, by condition.

    It is chosen as coefficients are (`choose_coefficient`).

    Returns:
        (criterion, target_percent) -> condition -> factor.
    """
    texts = steered.assign(flipped=flips(base, steered)).merge(settings, on="setting", validate="many_to_one")
    chosen: dict[tuple[str, float], dict[str, float]] = {}
    for (criterion, percent, condition), rows in texts.groupby(["criterion", "target_percent", "condition"]):
        curve = (
            rows.groupby(f"factor_{condition}")
            .agg(flip_rate=("flipped", "mean"), degenerate_rate=("degenerate", "mean"), n=("flipped", "size"))
            .rename_axis("coefficient")
            .reset_index()
        )
        is_chosen = choose_coefficient(curve, max_degenerate=max_degenerate, confidence=confidence)
        best = curve.loc[is_chosen, "coefficient"]
        chosen.setdefault((str(criterion), float(percent)), {})[str(condition)] = float(best.iloc[0])  # pyright: ignore[reportArgumentType]
    return chosen
