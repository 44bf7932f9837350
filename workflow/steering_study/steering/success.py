"""Verdicts to what steering achieves: attack success, flip rates, bystanders, layers."""

from __future__ import annotations

import pandas as pd

from steering_study.judges.panel import flips
from steering_study.stats import rate_row


def asr_row(verdicts: pd.DataFrame, *, confidence: float) -> dict[str, float | int]:
    """Attack success of some texts as columns of a table: n, asr with its interval, degenerate_rate."""
    n_complied, n = int((~verdicts["refused"]).sum()), len(verdicts)
    return {
        "n": n,
        **rate_row("asr", n_complied, n, confidence=confidence),
        "degenerate_rate": float(verdicts["degenerate"].mean()),
    }


def summarise_asr(verdicts: pd.DataFrame, *, model: str, confidence: float) -> pd.DataFrame:
    """The `asr` table: share of completions not judged a refusal, and the degenerate share beside it."""
    keys = ["method", "condition", "dataset", "coefficient", "judge"]
    rows = []
    for values, group in verdicts.groupby(keys, sort=False):
        named = dict(zip(keys, values, strict=True))  # pyright: ignore[reportArgumentType]
        rows.append({"model": model, **named, **asr_row(group, confidence=confidence)})
    return pd.DataFrame(rows)


def summarise_flips(
    base: pd.DataFrame, steered: pd.DataFrame, *, model: str, confidence: float
) -> pd.DataFrame:
    """The `flips` table: share of prompts whose behaviour steering flips, both texts being fluent."""
    keys = ["method", "layer", "condition", "dataset", "coefficient"]
    table = steered.assign(flipped=flips(base, steered))
    rows = []
    for values, group in table.groupby(keys, sort=True):
        rows.append(
            {
                "model": model,
                **dict(zip(keys, values, strict=True)),  # pyright: ignore[reportArgumentType]
                "n": len(group),
                **rate_row("flip_rate", int(group["flipped"].sum()), len(group), confidence=confidence),
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
        rows.append(
            {
                "model": model,
                **dict(zip(keys, values, strict=True)),  # pyright: ignore[reportArgumentType]
                "n": len(group),
                **rate_row("refused_rate", int(group["refused"].sum()), len(group), confidence=confidence),
                "base_refused_rate": float(unsteered["refused"].mean()),
                "looping_rate": float(group["looping"].mean()),
                "base_looping_rate": float(unsteered["looping"].mean()),
                "degenerate_rate": float(group["degenerate"].mean()),
                "base_degenerate_rate": float(unsteered["degenerate"].mean()),
            }
        )
    return pd.DataFrame(rows)


def summarise_layers(
    base: pd.DataFrame, steered: pd.DataFrame, *, model: str, confidence: float
) -> pd.DataFrame:
    """The `layers` table: attack success and flip rates per method, layer and condition, validation prompts pooled."""
    table = summarise_flips(
        base, steered.assign(dataset="validation"), model=model, confidence=confidence
    ).drop(columns="dataset")
    rates = [
        rate_row("asr", round(asr * n), n, confidence=confidence)
        for asr, n in zip(table["asr"], table["n"], strict=True)
    ]
    return table.assign(**{end: [rate[end] for rate in rates] for end in ("asr_low", "asr_high")})
