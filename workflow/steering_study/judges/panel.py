"""Responses to verdicts: refused or not, looping, fluent enough, and what follows for a table of responses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from steering_study.judges.degenerate import combine, fluency_floor, is_looping, is_unreadable
from steering_study.judges.verdicts import Judge
from steering_study.texts.conditions import CONDITION_OF_LABEL, NORMAL_BEHAVIOUR


def judge_refusals(responses: pd.DataFrame, judges: Mapping[str, Judge]) -> pd.DataFrame:
    """Ask the judge of each label whether its responses refuse; adds judge, refused and score."""
    parts = []
    for label, rows in responses.groupby("label", sort=True):
        verdicts = judges[str(label)].judge(list(rows["prompt"]), list(rows["text"]))
        parts.append(
            rows.assign(
                judge=judges[str(label)].name,
                refused=[verdict.refused for verdict in verdicts],
                score=[verdict.score for verdict in verdicts],
            )
        )
    return pd.concat(parts).loc[responses.index]


def fluency_floors(judged: pd.DataFrame, *, quantile: float) -> dict[str, float]:
    """Floor of the mean log-likelihood a token, per behaviour, from unsteered validation texts.

    Args:
        judged: unsteered responses with split, label, refused and logprob_mean.

    Raises:
        ValueError: if the model shows a behaviour in no validation text.
    """
    floors = {}
    for label, behaviour in NORMAL_BEHAVIOUR.items():
        rows = judged[(judged["split"] == "validation") & (judged["label"] == label)]
        rows = rows[rows["refused"] == (behaviour == "refused")]
        if rows.empty:
            raise ValueError(
                f"no unsteered {label} validation prompt is {behaviour}, so there is no normal text to judge "
                "fluency by; this model does not behave as the study assumes"
            )
        floors[behaviour] = fluency_floor(rows["logprob_mean"].to_numpy(), quantile=quantile)
    return floors


def judge_fluency(
    judged: pd.DataFrame, floors: Mapping[str, float], *, max_repetition: float
) -> pd.DataFrame:
    """Add looping, logprob_floor, degenerate and verdict to responses with refused and logprob_mean."""
    behaviour = np.where(judged["refused"], "refused", "complied")
    table = judged.assign(
        looping=[is_looping(text, threshold=max_repetition) for text in judged["text"]],
        logprob_floor=[floors[each] for each in behaviour],
    )
    unreadable = [
        is_unreadable(value, floor)
        for value, floor in zip(table["logprob_mean"], table["logprob_floor"], strict=True)
    ]
    verdicts = [
        combine(refused=refused, looping=looping, unreadable=bad)
        for refused, looping, bad in zip(table["refused"], table["looping"], unreadable, strict=True)
    ]
    return table.assign(verdict=verdicts, degenerate=[verdict == "degenerate" for verdict in verdicts])


def is_target(rows: pd.DataFrame) -> pd.Series:
    """Whether each row's prompt is one whose behaviour its condition is meant to change."""
    return rows["label"].map(CONDITION_OF_LABEL) == rows["condition"]


def flips(base: pd.DataFrame, steered: pd.DataFrame) -> pd.Series:
    """Whether each steered response is flipped (docs/steering.md), aligned with `steered`.

    Base and steered text differ in *refused* in the wanted direction (induce: to refused, bypass: to not
    refused) and neither is degenerate.
    """
    before = base.set_index("prompt_id").loc[steered["prompt_id"]]
    wanted = (steered["condition"] == "induce").to_numpy()
    changed = (steered["refused"].to_numpy() == wanted) & (before["refused"].to_numpy() != wanted)
    clean = ~steered["degenerate"].to_numpy() & ~before["degenerate"].to_numpy()
    return pd.Series(changed & clean, index=steered.index)
