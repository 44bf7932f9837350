"""The table of claims as HTML: what was published, what this run found, and a verdict."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from steering_study.drawing import theme
from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.words import NARROW

SECTION_LABELS = {
    "steering": "Steering",
    "vectors": "Vectors",
    "circuits": "Circuits",
    "attention": "Attention and MLPs",
    "sparsity": "Sparse vectors",
}
# Words, a sign and a frame of its own each, so that none of them rests on colour.
BADGES = {
    "holds": ("holds", "✓ holds"),
    "holds in part": ("partly", "◐ holds in part"),
    "does not hold": ("fails", "✗ does not hold"),
    "not tested here": ("untested", "– not tested here"),
    "no verdict": ("slip", "slip, no verdict"),
}
MARKS = {"holds": "✓", "holds in part": "◐", "does not hold": "✗"}
DECIMALS = {"%": 1, "points": 1, "edges": 0, "positions": 0}  # of a unit; two of all others


def table_claims(
    listed: pd.DataFrame,
    claims: pd.DataFrame,
    means: pd.DataFrame,
    *,
    root: str,
    rules: Mapping[str, str],
) -> Markup:
    """Every claim: published value and place, ours with interval and verdict by model, and the mean over models.

    Args:
        root: the way from the page to the folder that holds results/, reports/ and docs/.
        rules: where each rule's file lies, from the page; a rule that is missing is named without a link.
    """
    models = theme.models_in(claims)
    by_claim = dict(iter(claims.groupby("claim", sort=False)))
    of_means = means.set_index("claim")
    header = ["claim", "published", *map(theme.model_label, models)]
    header += [f"mean of {len(models)} models"] if len(models) > 1 else []
    rows, groups = [], []
    for claim in listed.to_dict("records"):
        ours = by_claim[claim["claim"]]
        row = [_statement_cell(claim, ours, root, rules), _published_cell(claim)]
        row += [_model_cell(ours[ours["model"] == model], claim["unit"], root) for model in models]
        if len(models) > 1:
            row.append(_mean_cell(of_means.loc[claim["claim"]], claim["unit"], root, n_models=len(models)))
        rows.append(row)
        groups.append(SECTION_LABELS.get(claim["section"], claim["section"]))
    return html_table(header, rows, groups=groups, kind="claims")


def quantity(value: float, unit: str) -> str:
    """A number in a claim's unit: 12.3 %, +8.8 points, 0.91."""
    decimals = DECIMALS.get(unit, 2)
    text = f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")  # and no -0.0
    return f"{text}{NARROW}%" if unit == "%" else text


def interval(value: float, low: float, high: float, unit: str) -> str:
    """A number with its interval, if it has one: 12.3 % [9.8, 15.0]."""
    if pd.isna(low):
        return quantity(value, unit)
    ends = (quantity(each, unit).removesuffix(f"{NARROW}%") for each in (low, high))
    return f"{quantity(value, unit)} [{f',{NARROW}'.join(ends)}]"


def _statement_cell(
    claim: Mapping[str, str], ours: pd.DataFrame, root: str, rules: Mapping[str, str]
) -> Cell:
    note = f"holds if {claim['reading']}" if claim["reading"] else ""
    made_by = dict.fromkeys(name for names in ours["rules"] for name in names.split(", ") if name)
    links = [("notebook", f"{root}/reports/notebooks/{claim['section']}.html")]
    links += [(f"rule {name}", rules.get(name, "")) for name in made_by]
    links += [("equation", f"{root}/{claim['method']}")] if claim["method"] else []
    return Cell(claim["statement"], note=note, links=tuple(links))


def _published_cell(claim: Mapping[str, str]) -> Cell:
    note = f"{claim['place']}; slip: {claim['slip']}" if claim["slip"] else claim["place"]
    return Cell(
        claim["published"] or "no number",
        note=note,
        kind="published misprinted" if claim["slip"] else "published",
    )


def _model_cell(rows: pd.DataFrame, unit: str, root: str) -> Cell:
    whole, parts = rows[rows["part"] == ""].iloc[0], rows[rows["part"] != ""]
    kind, words = BADGES[whole["verdict"]]
    if pd.isna(whole["value"]):
        return Cell("–", note=whole["note"], kind=kind, badge=words)
    first, *others = (
        f"{root}/results/{whole['model']}/{name}.parquet" for name in whole["tables"].split(", ")
    )
    return Cell(
        interval(whole["value"], whole["low"], whole["high"], unit),
        note=_notes(whole, parts, unit),
        value=whole["value"],
        kind=kind,
        badge=words,
        href=first,
        links=tuple((f"and {Path(href).stem}", href) for href in others),
    )


def _mean_cell(row: pd.Series, unit: str, root: str, *, n_models: int) -> Cell:
    kind, words = BADGES[row["verdict"]]
    if pd.isna(row["value"]):
        return Cell("–", kind=kind, badge=words)
    return Cell(
        interval(row["value"], row["low"], row["high"], unit),
        note=f"of {row['n_models']} alone" if row["n_models"] < n_models else "",
        value=row["value"],
        kind=kind,
        badge=words,
        href=f"{root}/results/summary/claim_means.parquet",
    )


def _notes(whole: pd.Series, parts: pd.DataFrame, unit: str) -> str:
    """What methods say, what chance gives, and n."""
    notes = []
    if len(parts) > 1:
        notes.append(
            ", ".join(
                _part_words(part, unit) for part in parts.to_dict("records") if not pd.isna(part["value"])
            )
        )
    if not pd.isna(whole["chance"]):
        notes.append(f"chance {quantity(whole['chance'], unit)}")
    if whole["n"]:
        notes.append(f"n = {whole['n']:,}".replace(" ", NARROW))
    if whole["note"]:
        notes.append(whole["note"])
    return "; ".join(notes)


def _part_words(part: Mapping[Hashable, Any], unit: str) -> str:
    """A part and how its verdict reads, on one line: DIM in NTP 0.91 ✓."""
    methods = [theme.METHOD_LABELS.get(word, word) for word in str(part["part"]).split(" ")]
    mark = MARKS.get(str(part["verdict"]), "")
    return NARROW.join([*methods, quantity(part["value"], unit), *([mark] if mark else [])])
