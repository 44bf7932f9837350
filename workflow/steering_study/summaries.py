"""Verdicts to the summary tables: attack success, flip rates, dose response."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from steering_study.judges.panel import flips
from steering_study.stats import bootstrap_mean, wilson_interval
from steering_study.vectors.selection import choose_coefficient, matched_coefficients

N_RESAMPLES = 2000  # of a bootstrap (METHOD 8)


def summarise_asr(verdicts: pd.DataFrame, *, model: str, confidence: float) -> pd.DataFrame:
    """The `asr` table: share of completions not judged a refusal, and the degenerate share beside it."""
    keys = ["method", "condition", "dataset", "coefficient", "judge"]
    rows = []
    for values, group in verdicts.groupby(keys, sort=False):
        successes, n = int((~group["refused"]).sum()), len(group)
        low, high = wilson_interval(successes, n, confidence=confidence)
        rows.append(
            {
                "model": model,
                **dict(zip(keys, values, strict=True)),  # pyright: ignore[reportArgumentType]
                "n": n,
                "asr": successes / n,
                "asr_low": low,
                "asr_high": high,
                "degenerate_rate": float(group["degenerate"].mean()),
            }
        )
    return pd.DataFrame(rows)


def summarise_flips(
    base: pd.DataFrame, steered: pd.DataFrame, *, model: str, confidence: float
) -> pd.DataFrame:
    """The `flips` table: share of prompts whose behaviour steering flips, both texts being fluent."""
    keys = ["method", "layer", "condition", "dataset", "coefficient"]
    table = steered.assign(flipped=flips(base, steered))
    rows = []
    for values, group in table.groupby(keys, sort=True):
        flipped, n = int(group["flipped"].sum()), len(group)
        low, high = wilson_interval(flipped, n, confidence=confidence)
        rows.append(
            {
                "model": model,
                **dict(zip(keys, values, strict=True)),  # pyright: ignore[reportArgumentType]
                "n": n,
                "flip_rate": flipped / n,
                "flip_low": low,
                "flip_high": high,
                "asr": float((~group["refused"]).mean()),
                "degenerate_rate": float(group["degenerate"].mean()),
            }
        )
    return pd.DataFrame(rows)


def summarise_bystanders(
    base: pd.DataFrame, steered: pd.DataFrame, *, model: str, confidence: float
) -> pd.DataFrame:
    """The `bystanders` table: how prompts are answered that a condition should leave alone, beside unsteered."""
    before = base.set_index("prompt_id")
    rows = []
    keys = ["method", "condition", "dataset", "coefficient"]
    for values, group in steered.groupby(keys, sort=False):
        unsteered = before.loc[group["prompt_id"]]
        refused, n = int(group["refused"].sum()), len(group)
        low, high = wilson_interval(refused, n, confidence=confidence)
        rows.append(
            {
                "model": model,
                **dict(zip(keys, values, strict=True)),  # pyright: ignore[reportArgumentType]
                "n": n,
                "refused_rate": refused / n,
                "refused_low": low,
                "refused_high": high,
                "base_refused_rate": float(unsteered["refused"].mean()),
                "looping_rate": float(group["looping"].mean()),
                "base_looping_rate": float(unsteered["looping"].mean()),
                "degenerate_rate": float(group["degenerate"].mean()),
                "base_degenerate_rate": float(unsteered["degenerate"].mean()),
            }
        )
    return pd.DataFrame(rows)


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
    parts = []
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
        parts.append(curve.assign(selected=selected))
    return pd.concat(parts, ignore_index=True).drop(columns="dataset")


def summarise_layers(
    base: pd.DataFrame, steered: pd.DataFrame, *, model: str, confidence: float
) -> pd.DataFrame:
    """The `layers` table: attack success and flip rates per method, layer and condition, validation prompts pooled."""
    table = summarise_flips(
        base, steered.assign(dataset="validation"), model=model, confidence=confidence
    ).drop(columns="dataset")
    bounds = [
        wilson_interval(round(asr * n), n, confidence=confidence)
        for asr, n in zip(table["asr"], table["n"], strict=True)
    ]
    return table.assign(asr_low=[low for low, _ in bounds], asr_high=[high for _, high in bounds])


def summarise_side_effects(
    curve: pd.DataFrame,
    costs: Mapping[Hashable, pd.DataFrame],
    *,
    flip_rate: float,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """The `side_effects` table: a dose-response curve beside what each coefficient costs on bystanders.

    Args:
        curve: the `dose_response` table of one method.
        costs: of each condition, coefficient, kl, nll and base_nll of every bystander response.
        flip_rate: share of prompts at which methods are compared.
    """
    parts = []
    for condition, rows in curve.groupby("condition", sort=False):
        by_dose = costs[condition].groupby("coefficient")
        measured = []
        for coefficient in rows["coefficient"]:
            at = by_dose.get_group(coefficient)
            interval = {"confidence": confidence, "n_resamples": N_RESAMPLES, "seed": seed}
            kl_low, kl_high = bootstrap_mean(list(at["kl"]), **interval)
            nll_low, nll_high = bootstrap_mean(list(at["nll"]), **interval)
            measured.append(
                {
                    "n_bystanders": len(at),
                    "kl_nats": at["kl"].mean(),
                    "kl_low": kl_low,
                    "kl_high": kl_high,
                    "perplexity": np.exp(at["nll"].mean()),
                    "perplexity_low": np.exp(nll_low),
                    "perplexity_high": np.exp(nll_high),
                    "base_perplexity": np.exp(at["base_nll"].mean()),
                }
            )
        matched = matched_coefficients(rows, flip_rate=flip_rate)
        parts.append(
            pd.concat([rows.reset_index(drop=True), pd.DataFrame(measured)], axis=1).assign(
                matched=matched.to_numpy()
            )
        )
    return pd.concat(parts, ignore_index=True)
