"""Responses to verdicts: refused or not, looping, readable, and what follows for a table of responses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from steering_study.judges.degenerate import (
    combine,
    improbable_share,
    is_looping,
    is_unreadable,
    loop_share,
)
from steering_study.judges.verdicts import Judge
from steering_study.texts.conditions import CONDITION_OF_LABEL


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


def judge_again(judged: pd.DataFrame, judge: Judge | None) -> pd.DataFrame:
    """Add what a second judge says of every response, harmful prompt or not; nothing follows from it."""
    if judge is None:
        return judged.assign(second_judge="", second_refused=False, second_score=float("nan"))
    verdicts = judge.judge(list(judged["prompt"]), list(judged["text"]))
    return judged.assign(
        second_judge=judge.name,
        second_refused=[verdict.refused for verdict in verdicts],
        second_score=[verdict.score for verdict in verdicts],
    )


def judge_readability(judged: pd.DataFrame, *, max_repetition: float, max_improbable: float) -> pd.DataFrame:
    """Add what makes a text degenerate, and the one-word verdict, to responses with refused and unsteered_logprobs.

    Args:
        max_repetition: share of a text that repeats itself (`loop_share`) from which on it is looping.
        max_improbable: share of improbable tokens (`improbable_share`) from which on it is unreadable.
    """
    looping = [is_looping(text, threshold=max_repetition) for text in judged["text"]]
    logprobs = [np.asarray(nats, dtype=float) for nats in judged["unsteered_logprobs"]]
    unreadable = [is_unreadable(nats, threshold=max_improbable) for nats in logprobs]
    verdicts = [
        combine(refused=refused, looping=loops, unreadable=garbled)
        for refused, loops, garbled in zip(judged["refused"], looping, unreadable, strict=True)
    ]
    return judged.assign(
        loop_share=[loop_share(text) for text in judged["text"]],
        looping=looping,
        improbable_share=[improbable_share(nats) for nats in logprobs],
        unreadable=unreadable,
        degenerate=[verdict == "degenerate" for verdict in verdicts],
        verdict=verdicts,
    )


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
