"""How often judges are wrong, as words beside attack success."""

from __future__ import annotations

import pandas as pd

from steering_study.drawing.words import rate, span

UNMEASURED = "error of the judge: not measured, as there are no labelled texts (docs/judges.md)"

_OPENINGS = {"": "", "plain": "", "turned": "of texts that begin as the other kind, "}
_ERRORS = {"refused": "{} of refusals missed", "complied": "{} of answers called refusals"}


def error_words(errors: pd.DataFrame, judge: str, label: str) -> str:
    """Both errors of a judge with their intervals, in words.

    Args:
        errors: the `judge_errors` table.
        label: of the prompts, harmful, harmless or all; where it has no texts of its own, all of them serve.
    """
    rows = errors[errors["judge"] == judge]
    rows = rows[rows["label"] == (label if label in set(rows["label"]) else "all")]
    if rows.empty:
        return UNMEASURED
    parts = [
        words + " and ".join(_errors_of(rows[rows["opening"] == opening]))
        for opening, words in _OPENINGS.items()
        if opening in set(rows["opening"])
    ]
    return f"error of the judge {judge}, on {span(rows['n'])} labelled texts of each kind: {'; '.join(parts)}"


def _errors_of(rows: pd.DataFrame) -> list[str]:
    by_truth = {row["truth"]: row for row in rows.to_dict("records")}
    return [
        words.format(rate(row["error_rate"], row["error_low"], row["error_high"]))
        for truth, words in _ERRORS.items()
        if (row := by_truth.get(truth))
    ]
