"""Which dimensions methods keep together, and how likely that is by chance."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool

from steering_study.sparsity.chance import adjusted_p_values, chance_iou, iou, joint_p_value, overlap_p_value
from steering_study.sparsity.settings import mask_of

READ_NEAR = 90.0  # percent of dimensions set to zero, at which the overlap is read


def overlap_table(settings: Mapping[str, pd.DataFrame], *, d_model: int) -> pd.DataFrame:
    """The `iou` table: dimensions that pairs of methods keep together, at each sparsity of each criterion.

    P-values are adjusted over all rows of the table (Holm) in which something could be found: not where a method keeps
    everything or nothing (1), and once where entries of the grid coincide.

    Args:
        settings: the `sparse_settings` of each method.
    """
    rows = []
    for a, b in itertools.combinations(settings, 2):
        pairs = _deterministic(settings[a]).merge(
            _deterministic(settings[b]), on=["criterion", "place"], suffixes=("_a", "_b")
        )
        for pair in pairs.to_dict("records"):
            one, other = (mask_of(pair[f"dimensions_{side}"], d_model) for side in "ab")
            n_a, n_b, n_shared = int(one.sum()), int(other.sum()), int((one & other).sum())
            rows.append(
                {
                    "method_a": a,
                    "method_b": b,
                    "criterion": pair["criterion"],
                    "threshold": pair["threshold_a"],
                    "target_percent": pair["target_percent_a"],
                    "sparsity_percent": (pair["sparsity_percent_a"] + pair["sparsity_percent_b"]) / 2,
                    "n_a": n_a,
                    "n_b": n_b,
                    "n_shared": n_shared,
                    "iou": iou(one, other),
                    "chance": chance_iou(n_a, n_b, d_model),
                    "p_value": overlap_p_value(n_shared, n_a, n_b, d_model),
                    "sets": (a, b, pair["criterion"], one.tobytes(), other.tobytes()),
                }
            )
    columns = [
        "method_a",
        "method_b",
        "criterion",
        "threshold",
        "target_percent",
        "sparsity_percent",
        "n_a",
        "n_b",
    ]
    table = pd.DataFrame(rows, columns=[*columns, "n_shared", "iou", "chance", "p_value", "sets"])
    sizes = table[["n_a", "n_b"]]
    tested = table[(sizes.gt(0) & sizes.lt(d_model)).all(axis=1)].drop_duplicates("sets")
    adjusted = dict(zip(tested["sets"], adjusted_p_values(list(tested["p_value"])), strict=True))
    return table.assign(p_adjusted=[adjusted.get(sets, 1.0) for sets in table["sets"]]).drop(columns="sets")


def overlaps_near(overlaps: pd.DataFrame, percent: float) -> pd.DataFrame:
    """Of each pair of methods the rows of an `iou` table whose sparsity is nearest to a percentage, where both keep something."""
    overlaps = overlaps[(overlaps["n_a"] > 0) & (overlaps["n_b"] > 0)]
    distances = (overlaps["sparsity_percent"] - percent).abs()
    least = distances.groupby([overlaps["method_a"], overlaps["method_b"]]).transform("min")
    return overlaps.loc[distances == least]


def _deterministic(settings: pd.DataFrame) -> pd.DataFrame:
    """Plain vectors of criteria that draw nothing; `place` says which sparsity, in percent or by threshold."""
    rows = settings[
        (settings["variant"] == "plain")
        & settings["criterion"].isin(["gradient", "indirect_effect", "bottom_k"])
    ]
    place = (
        rows["target_percent"]
        .map("{!r} %".format)
        .where(rows["threshold"].isna(), rows["threshold"].map("tau {!r}".format))
    )
    return rows.assign(place=place)


def shared_table(
    masks: Mapping[float, Mapping[str, Bool[np.ndarray, "d_model"]]], *, d_model: int
) -> pd.DataFrame:
    """The `shared_dimensions` table: what all methods keep by the gradient, and how likely that is by chance.

    Args:
        masks: what each method keeps, by target percent.
    """
    rows = []
    for percent, by_method in masks.items():
        shared = np.logical_and.reduce(list(by_method.values()))
        sizes = [int(mask.sum()) for mask in by_method.values()]
        rows.append(
            {
                "target_percent": percent,
                "n_methods": len(sizes),
                "n_kept": sizes[0],
                "n_shared": int(shared.sum()),
                "chance": float(np.prod(np.array(sizes) / d_model) * d_model),
                "p_value": joint_p_value(int(shared.sum()), sizes, d_model),
                "dimensions": np.flatnonzero(shared).tolist(),
            }
        )
    return pd.DataFrame(rows)
