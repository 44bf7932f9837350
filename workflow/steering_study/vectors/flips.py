"""Which candidate of DIM flips most: texts of the best few by next-token scores, at several coefficients (docs/vectors.md).

1. `shortlist`: the best candidate of each layer, of these the best few.
2. `candidate_requests`: validation prompts at every coefficient, under each of them.
3. `count_flips`: flip rates, from the verdicts on these texts.
4. `flips_most`: the candidate whose best coefficients flip most in both directions together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.judges.panel import flips
from steering_study.texts.responses import steered_requests
from steering_study.vectors.schemas import CANDIDATE_FLIPS
from steering_study.vectors.selection import Filters, loss_of


def shortlist(scores: pd.DataFrame, *, n: int, filters: Filters, n_layers: int) -> pd.DataFrame:
    """The best candidate of each layer that may be chosen, by the paper's loss whatever the other filters say; of these the best n.

    Args:
        scores: layer, position, bypass, induce.
    """
    loss = loss_of(scores, "paper")
    allowed = (scores["layer"] < int(filters.max_depth * n_layers)) & np.isfinite(loss)
    best = loss[allowed].groupby(scores.loc[allowed, "layer"]).idxmin()
    chosen = loss[best].sort_values(kind="stable").index[:n]
    return scores.loc[chosen, ["layer", "position"]].reset_index(drop=True)


def candidate_requests(
    prompts: pd.DataFrame,
    candidates: pd.DataFrame,
    *,
    coefficients: Mapping[str, Sequence[float]],
    n_prompts: int,
) -> pd.DataFrame:
    """Requests under every candidate, whose row is the `setting`: the first prompts of each label, at every coefficient of its condition."""
    asked = prompts.groupby("label", sort=False).head(n_prompts)
    parts = [
        steered_requests(asked, layers=[int(row["layer"])], coefficients=coefficients).assign(setting=number)
        for number, row in candidates.iterrows()
    ]
    return pd.concat(parts, ignore_index=True)


def vectors_of(
    requests: pd.DataFrame, candidates: pd.DataFrame, directions: Float[Tensor, "layer pos d_model"]
) -> Float[Tensor, "request d_model"]:
    """The vector of each request."""
    stacked = torch.stack(
        [directions[int(row["layer"]), int(row["position"])].float() for _, row in candidates.iterrows()]
    )
    return stacked[torch.tensor(list(requests["setting"]))]


def count_flips(base: pd.DataFrame, judged: pd.DataFrame, candidates: pd.DataFrame) -> pd.DataFrame:
    """The `candidate_flips` table, without what is selected.

    Args:
        base: verdicts on the unsteered texts of the same prompts.
        judged: verdicts under candidates.
    """
    flipped = judged.assign(flipped=flips(base, judged))
    rows = []
    for (setting, condition, coefficient), group in flipped.groupby(["setting", "condition", "coefficient"]):
        n, n_flipped = len(group), int(group["flipped"].sum())
        rows.append(
            {
                "layer": int(candidates.at[setting, "layer"]),
                "position": int(candidates.at[setting, "position"]),
                "condition": condition,
                "coefficient": coefficient,
                "n": n,
                "flip_rate": n_flipped / n,
                "degenerate_rate": float(group["degenerate"].mean()),
            }
        )
    return pd.DataFrame(rows, columns=[name for name in CANDIDATE_FLIPS.names if name != "selected"])


def flips_most(table: pd.DataFrame, *, max_degenerate: float) -> tuple[int, int, float]:
    """Layer and position of the candidate that flips most, and how much: the mean over directions of its best coefficient's rate.

    A coefficient counts if at most `max_degenerate` of its texts are degenerate; a direction without one counts as 0. Of
    equal candidates the one of the lower layer.
    """
    allowed = table[table["degenerate_rate"] <= max_degenerate]
    best = allowed.groupby(["layer", "position", "condition"])["flip_rate"].max().unstack("condition")
    every = pd.MultiIndex.from_frame(table[["layer", "position"]].drop_duplicates())
    mean = best.reindex(index=every, columns=sorted(set(table["condition"]))).fillna(0.0).mean(axis=1)
    layer, position = mean.sort_index().idxmax()  # pyright: ignore[reportGeneralTypeIssues]
    return int(layer), int(position), float(mean.max())
