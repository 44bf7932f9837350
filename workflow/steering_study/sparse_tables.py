"""Sparse vectors in tables: what was kept, how much of the effect is left, and what methods keep together (METHOD 6).

    retention(k) = (success(k) - success(unsteered)) / (success(dense) - success(unsteered))

success is the share of texts that steering is meant to bring about: refusals under induce, others under bypass.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from steering_study.judges.panel import flips
from steering_study.overlap import adjusted_p_values, chance_iou, iou, joint_p_value, overlap_p_value
from steering_study.sparsify import PARTS, ROUNDING, Sparse, area_under_retention, largest_retained
from steering_study.stats import bootstrap_mean, ratio_of_sums, wilson_interval
from steering_study.vectors.selection import choose_coefficient

N_RESAMPLES = 2000  # of a bootstrap (METHOD 8)
DENSE, CONDITIONS = "none", ("induce", "bypass")
POOLED = "main sets"  # mean over the main test sets, as a dataset
MAIN_CRITERION = "gradient"  # the paper's own
READ_NEAR = 90.0  # percent of dimensions set to zero, at which the overlap is read
WHICH = ["criterion", "variant", "draw", "threshold", "target_percent", "sparsity_percent", "n_kept"]


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
        successes, flipped, n = int((~group["refused"]).sum()), int(group["flipped"].sum()), len(group)
        low, high = wilson_interval(successes, n, confidence=confidence)
        flip_low, flip_high = wilson_interval(flipped, n, confidence=confidence)
        rows.append(
            {
                **named,
                "factor": float(group[f"factor_{named['condition']}"].iloc[0]),
                "n": n,
                "asr": successes / n,
                "asr_low": low,
                "asr_high": high,
                "degenerate_rate": float(group["degenerate"].mean()),
                "flip_rate": flipped / n,
                "flip_low": flip_low,
                "flip_high": flip_high,
            }
        )
    return pd.DataFrame(rows)


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
            chosen = own[own["criterion"] == criterion]
            cells = {
                str(dataset): _successes(base, dense[dense["dataset"] == dataset], rows_)
                for dataset, rows_ in chosen.groupby("dataset", sort=False)
            }
            percents = [0.0, *sorted(chosen["sparsity_percent"].unique())]
            groups = {name: [cell] for name, cell in cells.items()}
            groups[POOLED] = [cells[name] for name in main_sets if name in cells]
            for dataset, cell in groups.items():
                found = _retention(
                    cell, percents, retained=retained, confidence=confidence, rng=np.random.default_rng(seed)
                )
                rows.append(
                    {
                        "method": method,
                        "criterion": criterion,
                        "dataset": dataset,
                        "retained": retained,
                        **found,
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

    found = measure(np.mean([cell.mean(1) for cell in cells], axis=0))
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
        "area": found[0],
        "area_low": float(low[0]),
        "area_high": float(high[0]),
        "largest_percent": found[1],
        "largest_low": float(low[1]),
        "largest_high": float(high[1]),
    }


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
