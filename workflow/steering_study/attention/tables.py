"""Verdicts on frozen texts to Table 1: what each ablation takes from steering, with paired intervals (docs/attention.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from steering_study.stats import N_RESAMPLES, bootstrap_mean, bootstrap_mean_of_means, mcnemar
from steering_study.steering.success import asr_row

NONE = "none"


def settings_table(ablations: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The `frozen_settings` table: every ablation of every scope, numbered."""
    rows = [(scope, name) for scope, names in ablations.items() for name in names]
    return pd.DataFrame(rows, columns=["scope", "ablation"]).rename_axis("setting").reset_index()


def with_settings(verdicts: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Verdicts of a run with the scope and ablation of each."""
    return verdicts.merge(settings, on="setting", how="left", validate="many_to_one")


@dataclass(frozen=True)
class Pairs:
    """Verdicts under an ablation and without it, of the same prompts in the same order."""

    key: Mapping[str, str]  # method, scope, ablation, condition, dataset
    ablated: pd.DataFrame
    plain: pd.DataFrame

    @property
    def weakened(self) -> np.ndarray:
        """By prompt: 1 where steering succeeded and no longer does, -1 where it now does, else 0 (docs/attention.md)."""
        sign = 1 if self.key["condition"] == "induce" else -1
        before, after = (table["refused"].to_numpy(dtype=int) for table in (self.plain, self.ablated))
        return sign * (before - after)


def pair_verdicts(verdicts: pd.DataFrame) -> Iterator[Pairs]:
    """The verdicts of each ablation beside those without, one method, scope and dataset at a time.

    Args:
        verdicts: with scope and ablation.
    """
    for _, cell in verdicts.groupby(["method", "scope", "dataset"], sort=False):
        plain = cell[cell["ablation"] == NONE].set_index("prompt_id")
        for _, rows in cell.groupby("ablation", sort=False):
            key = rows.iloc[0][["method", "scope", "ablation", "condition", "dataset"]].to_dict()
            yield Pairs(key, rows, plain.loc[rows["prompt_id"]].reset_index())


def summarise_ablations(verdicts: pd.DataFrame, *, confidence: float, seed: int) -> pd.DataFrame:
    """The `ablations` table: attack success of each ablation, and its change in percentage points."""
    rows = []
    for pairs in pair_verdicts(verdicts):
        points = 100.0 * pairs.weakened
        change_low, change_high = bootstrap_mean(
            list(points), confidence=confidence, n_resamples=N_RESAMPLES, seed=seed
        )
        rows.append(
            {
                **pairs.key,
                **asr_row(pairs.ablated, confidence=confidence),
                "change_points": float(points.mean()),
                "change_low": change_low,
                "change_high": change_high,
                "p_value": mcnemar(list(pairs.plain["refused"]), list(pairs.ablated["refused"])),
            }
        )
    return pd.DataFrame(rows)


def average_ablations(
    verdicts: Mapping[str, pd.DataFrame], *, datasets: Sequence[str], confidence: float, seed: int
) -> pd.DataFrame:
    """The `ablation_means` table: changes averaged over models and main test sets, as the paper's headline.

    Models answer the same prompts, so intervals come from prompts that are drawn for all of them at once.

    Args:
        verdicts: by model, with scope and ablation.
        datasets: the main test sets.
    """
    cells: dict[tuple[str, str, str], list[Pairs]] = {}
    for table in verdicts.values():
        for pairs in pair_verdicts(table[table["dataset"].isin(list(datasets))]):
            key = pairs.key["method"], pairs.key["scope"], pairs.key["ablation"]
            cells.setdefault(key, []).append(pairs)
    rows = []
    for (method, scope, ablation), group in cells.items():
        points = [pd.Series(100.0 * pairs.weakened, index=pairs.ablated["prompt_id"]) for pairs in group]
        low, high = bootstrap_mean_of_means(
            [
                _by_prompt(
                    [
                        change
                        for change, pairs in zip(points, group, strict=True)
                        if pairs.key["dataset"] == name
                    ]
                )
                for name in dict.fromkeys(pairs.key["dataset"] for pairs in group)
            ],
            confidence=confidence,
            n_resamples=N_RESAMPLES,
            seed=seed,
        )
        degenerate = [
            100 * (pairs.ablated["degenerate"].mean() - pairs.plain["degenerate"].mean()) for pairs in group
        ]
        rows.append(
            {
                "method": method,
                "scope": scope,
                "ablation": ablation,
                "n_cells": len(group),
                "n": sum(len(change) for change in points),
                "change_points": float(np.mean([change.mean() for change in points])),
                "change_low": low,
                "change_high": high,
                "degenerate_points": float(np.mean(degenerate)),
            }
        )
    return pd.DataFrame(rows)


def _by_prompt(of_models: Sequence[pd.Series]) -> Float[np.ndarray, "model prompt"]:
    """Values of several models beside each other; a study gives all of them the same prompts."""
    table = pd.concat(of_models, axis=1)
    assert not table.isna().any(axis=None)
    return table.to_numpy().T
