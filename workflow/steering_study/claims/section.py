"""Section "claims": its tidy frames, the sentences it opens with, and the facts its captions name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from steering_study.claims.criteria import CHANCE, FAILS, HOLDS, PARTLY, PUBLISHED, UNTESTED, Claim, Condition
from steering_study.claims.measurements import MEASUREMENTS
from steering_study.claims.schemas import CLAIM_MEANS, CLAIMS
from steering_study.drawing import theme
from steering_study.drawing.words import NARROW, listing

SIGNS = {">=": "≥", "<=": "≤", "~": "≈"}
RELATIONS = {"at_most": "at most", "at_least": "at least", "more_than": "more than", "less_than": "less than"}
UNITS = {
    "%": f"{NARROW}%",
    "points": " points",
    "edges": " edges",
    "positions": " positions",
}  # after any number
NAMES = {
    "cosine": " cosine",
    "faithfulness": " faithfulness",
}  # of what was printed, as its number says little alone
FRAMES = {
    "claim_list": {
        "claim": "string",
        "section": "string",  # that shows and explains the number
        "statement": "string",
        "published": "string",
        "unit": "string",
        "place": "string",  # in the paper
        "reading": "string",  # its criterion in words; empty: none
        "slip": "string",
        "method": "string",  # page and heading with the equation; empty: nothing is measured
    },
    "claims": {"model": "string", **CLAIMS.kinds, "tables": "string", "rules": "string"},
    "claim_means": CLAIM_MEANS.kinds,
}  # its tidy frames: the type of each column, in Arrow's words


def claims_frames(
    tables: Mapping[str, pd.DataFrame],
    *,
    cards: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Every frame of the section.

    Args:
        published: "claims" is claims.csv.
    """
    claims = tables["claims"]
    joined = {name: [", ".join(each) for each in claims[name]] for name in ("tables", "rules")}
    notes = claims["note"].replace(theme.MODEL_LABELS, regex=True)
    return {
        "claims": claims.assign(**joined, note=notes),
        "claim_means": tables["claim_means"],
        "claim_list": list_claims(published["claims"]),
    }


def list_claims(table: pd.DataFrame) -> pd.DataFrame:
    """Claims.csv in words."""
    rows = table.fillna("").astype(str).to_dict("records")
    claims = [Claim(**{str(key): value for key, value in row.items()}) for row in rows]
    return pd.DataFrame(
        [
            {
                "claim": claim.id,
                "section": claim.section,
                "statement": claim.claim,
                "published": published_words(claim),
                "unit": claim.unit,
                "place": claim.place,
                "reading": listing(condition_words(each, claim.unit) for each in claim.conditions),
                "slip": claim.slip,
                "method": MEASUREMENTS[claim.measure].method if claim.measure else "",
            }
            for claim in claims
        ],
        columns=list(FRAMES["claim_list"]),
    )


def published_words(claim: Claim) -> str:
    """The printed value as the report shows it: ≥ 90 %, 0.1 to 0.42."""
    found = PUBLISHED.fullmatch(claim.value)
    if not claim.value or not found:
        return ""
    sign, number, least, most = found.groups()
    sign = f"{SIGNS.get(sign, sign)}{NARROW}" if sign else ""
    if number and "." not in number:
        number = f"{int(number):,}"
    return (f"{sign}{number}" if number else f"{least} to {most}") + (UNITS | NAMES).get(claim.unit, "")


def condition_words(condition: Condition, unit: str) -> str:
    """A condition in words: at most 20 points, more than chance."""
    of_unit = UNITS.get(unit, "")
    if condition.relation == "within":
        distance = f"within {condition.distance:g} of" if condition.distance else "exactly"
        return f"{distance} {condition.limit:,.15g}{of_unit}"
    if condition.reference:
        name = condition.reference
        compared = CHANCE if name == CHANCE else MEASUREMENTS[name].label
        return f"{RELATIONS[condition.relation]} {compared}"
    return f"{RELATIONS[condition.relation]} {condition.limit:g}{of_unit}"


def claims_leads(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """How many claims hold in each model."""
    whole = frames["claims"].query("part == '' and claim != ''")
    return [_lead(model, rows["verdict"]) for model, rows in whole.groupby("model", sort=False)]


def _lead(model: object, verdicts: pd.Series) -> str:
    counts = {each: int((verdicts == each).sum()) for each in (HOLDS, PARTLY, FAILS, UNTESTED)}
    return (
        f"{theme.model_label(str(model))}: of {sum(counts.values())} claims {counts[HOLDS]} hold, {counts[PARTLY]} hold in part, "
        f"{counts[FAILS]} do not hold and {counts[UNTESTED]} are not tested here."
    )


def claims_facts(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Words that captions of the section name in braces."""
    listed = frames["claim_list"]
    return {"n_claims": str(len(listed)), "n_slips": str(int((listed["slip"] != "").sum()))}
