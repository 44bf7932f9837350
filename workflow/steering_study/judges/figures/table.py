"""How often judges are wrong, as a table of confusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from steering_study.drawing import theme
from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.words import listing, rate

_TEXTS = {"": "labelled texts", "plain": "plain texts", "turned": "texts that begin as the other kind"}
_SOURCES = {"corpus": "the bundled models' corpus"}
_ORIGINS = {
    "corpus": (
        "the bundled models' corpus, which knows what kind each response is because it writes it. Its refusals are made "
        "of the refusal phrases, so on plain texts the judge of phrases can hardly err; texts that begin as the other kind "
        "are the hard case, and how many of a model's texts are of that sort is not measured. Nor is anything about "
        "models that were not trained on this corpus"
    ),
    "": (
        "none. The study has no bundled model, whose corpus could serve, and judges.labels names no file: nothing is "
        "measured (docs/judges.md)"
    ),
}


def source_label(source: str) -> str:
    """Where labels come from, in words: the corpus, or the user's file."""
    return _SOURCES.get(source, source)


def origin_words(errors: pd.DataFrame) -> str:
    """Who labelled the texts of a `judge_errors` table, and what the numbers are not about."""
    source = next(iter(errors["source"]), "")
    return _ORIGINS.get(source, f"{source}, of the user")


def table_judges(errors: pd.DataFrame, asr: pd.DataFrame) -> Markup:
    """Confusion of every judge, by prompts and opening of the texts, and which judge is in use for what.

    Args:
        errors: the `judge_errors` table; an empty one gives a row that says so.
        asr: the `asr` table, whose judges are those in use.
    """
    header = [
        "prompts",
        "texts",
        "refusals\njudged refused",
        "answers\njudged refused",
        "missed refusals",
        "false refusals",
    ]
    rows, groups = [], []
    shown = errors[["judge", "source", "label", "opening"]].drop_duplicates()
    for key in shown.to_dict("records"):
        at = errors[(errors[list(key)] == pd.Series(key)).all(axis=1)]
        by_truth = {row["truth"]: row for row in at.to_dict("records")}
        cells = [by_truth.get(truth) for truth in ("refused", "complied")]
        rows.append(
            [
                Cell(key["label"]),
                Cell(_TEXTS[key["opening"]]),
                *(_counted(row) for row in cells),
                *(_wrong(row) for row in cells),
            ]
        )
        groups.append(f"{key['judge']}, on {source_label(key['source'])}\n{_in_use(asr, key['judge'])}")
    if not rows:
        rows, groups = [[Cell("–") for _ in header]], ["no labelled texts, so no judge is measured"]
    return html_table(header, rows, groups=groups, kind="numbers")


def _counted(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell("–", note="none labelled")
    return Cell(f"{row['n_refused']} of {row['n']}", value=row["refused_rate"])


def _wrong(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell("–")
    return Cell(rate(row["error_rate"], row["error_low"], row["error_high"]), value=row["error_rate"])


def _in_use(asr: pd.DataFrame, judge: str) -> str:
    """The test sets whose attack success rests on the judge."""
    used = theme.datasets_in(asr[asr["judge"] == judge])
    return f"judges {listing(theme.dataset_label(name) for name in used)} prompts" if used else "not in use"
