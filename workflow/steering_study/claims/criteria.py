"""The paper's claims, the criteria by which they hold, and verdicts (docs/claims.md).

1. `read_claims` reads resources/paper/claims.csv: what was published, what is measured for it, and a criterion.
2. `measurements` turns a model's summary tables into quantities, each in parts: one a method, or one a pair of methods.
3. `judge_claims` compares the interval of each part with the criterion and puts the parts' verdicts together.
4. `average_claims` puts the models together.

A criterion is one or more conditions, joined by `and`:

    at_most X         at_least X        within D of X         X, D: numbers in the claim's unit
    more_than NAME    less_than NAME                          NAME: `chance`, or another measurement
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pandas as pd

Verdict = Literal["holds", "holds in part", "does not hold", "not tested here", "no verdict"]
HOLDS, PARTLY, FAILS, UNTESTED, SLIP = (
    "holds",
    "holds in part",
    "does not hold",
    "not tested here",
    "no verdict",
)
CHANCE = "chance"
WHOLE = ""  # the part that stands for a claim as a whole

NUMBER = r"-?\d+(?:\.\d+)?"
CONDITIONS = {
    rf"(at_most|at_least) ({NUMBER})": ("limit",),
    rf"(within) ({NUMBER}) of ({NUMBER})": ("distance", "limit"),
    r"(more_than|less_than) ([a-z]\w*)": ("reference",),
}
FORMS = "at_most X, at_least X, within D of X, more_than NAME, less_than NAME"
PUBLISHED = re.compile(rf"(?:(>=|<=|>|<|~)?({NUMBER})|({NUMBER})\.\.({NUMBER}))?")


@dataclass(frozen=True)
class Condition:
    """One condition of a criterion."""

    relation: str
    limit: float = math.nan
    distance: float = math.nan
    reference: str = ""


@dataclass(frozen=True)
class Claim:
    """A row of claims.csv.

    Attributes:
        section: of the report, where the number is shown and explained.
        value: as printed: a number, with >=, <=, >, < or ~ in front of it, a range a..b, or empty where none is printed.
        place: in the paper.
        measure: what is measured for it; empty where nothing is.
        slip: why the printed number cannot be right (docs/claims.md); it is shown and gets no verdict.
        model: the only model that it speaks of, or empty.
        untested: why nothing is measured.
    """

    id: str
    section: str
    claim: str
    value: str
    unit: str
    place: str
    measure: str
    criterion: str
    slip: str
    model: str
    untested: str

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions of its criterion."""
        return parse_criterion(self.criterion) if self.criterion else ()


@dataclass(frozen=True)
class Part:
    """A measured number; low and high are NaN where it is counted and not estimated.

    Attributes:
        name: a method, or methods and how they are paired: `dim & ntp`, `dim in ntp`.
        n: texts, responses, edges or other things that it rests on; 0 where it counts them itself.
        chance: what chance would give; NaN where nothing is compared with chance.
        p_value: that chance goes as far, on the side of it on which the value lies.
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    chance: float = math.nan
    p_value: float = math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The interval, or the number itself twice."""
        return (self.value, self.value) if math.isnan(self.low) else (self.low, self.high)


@dataclass(frozen=True)
class Quantity:
    """What was measured of one model under one name: its parts, or none and why.

    Attributes:
        tables: names of the summary tables that it comes from.
        rules: rules that made them.
    """

    parts: tuple[Part, ...]
    reason: str = ""
    tables: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def parse_criterion(text: str) -> tuple[Condition, ...]:
    """Conditions of a criterion.

    Raises:
        ValueError: if it is not of the grammar.
    """
    return tuple(_parse_condition(each.strip(), text) for each in text.split(" and "))


def _parse_condition(text: str, criterion: str) -> Condition:
    for form, names in CONDITIONS.items():
        if found := re.fullmatch(form, text):
            relation, *values = found.groups()
            given = {
                name: value if name == "reference" else float(value)
                for name, value in zip(names, values, strict=True)
            }
            return Condition(relation, **given)  # pyright: ignore[reportArgumentType]
    raise ValueError(f"criterion {criterion!r} has {text!r}, expected one of {FORMS}, joined by `and`")


def read_claims(path: Path, measures: Collection[str]) -> list[Claim]:
    """Read and check claims.csv.

    Args:
        measures: names of the measurements that there are.

    Raises:
        ValueError: if a column, value, criterion or name is wrong; the message names file, id and remedy.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    expected = [field.name for field in fields(Claim)]
    if list(table.columns) != expected:
        raise ValueError(f"{path.name} has columns {list(table.columns)}, expected {expected}")
    claims = [Claim(**{str(key): value for key, value in row.items()}) for row in table.to_dict("records")]
    for claim in claims:
        try:
            _check(claim, measures)
        except ValueError as error:
            raise ValueError(
                f"{path.name}, {claim.id}: {error}; docs/claims.md explains the columns"
            ) from None
    if repeated := sorted(table.loc[table["id"].duplicated(), "id"]):
        raise ValueError(f"{path.name}: id {repeated[0]!r} stands twice; give each claim its own")
    return claims


def _check(claim: Claim, measures: Collection[str]) -> None:
    if not PUBLISHED.fullmatch(claim.value):
        raise ValueError(f"value {claim.value!r} is no number, a..b or >=, <=, >, <, ~ before a number")
    if claim.measure and claim.measure not in measures:
        raise ValueError(f"measure {claim.measure!r} is unknown, expected one of {', '.join(measures)}")
    for condition in claim.conditions:
        if condition.reference not in ("", CHANCE, *measures):
            raise ValueError(
                f"criterion names {condition.reference!r}, expected chance or one of {', '.join(measures)}"
            )
    if claim.slip and claim.criterion:
        raise ValueError("a slip has no criterion; empty one of the two")
    if not claim.slip and bool(claim.untested) == bool(claim.criterion and claim.measure):
        raise ValueError("expected a measure and a criterion, or the reason why it is untested")


def judge_part(
    conditions: Sequence[Condition], part: Part, others: Mapping[str, Quantity], *, confidence: float
) -> Verdict | None:
    """Verdict on one part: the worst of its conditions; None where a measurement that it is compared with has no such part."""
    found = []
    for condition in conditions:
        against = _against(condition, part, others)
        if against is None or math.isnan(part.value):
            return None
        found.append(_judge(condition, part, against, confidence=confidence))
    return max(found, key=(HOLDS, PARTLY, FAILS).index)


def _against(condition: Condition, part: Part, others: Mapping[str, Quantity]) -> Part | None:
    """What a condition compares a part with; itself where the limit is a number."""
    if not condition.reference:
        return part
    if condition.reference == CHANCE:
        return None if math.isnan(part.chance) else Part(CHANCE, part.chance)
    named = [each for each in others[condition.reference].parts if each.name == part.name]
    return named[0] if named and not math.isnan(named[0].value) else None


def _judge(condition: Condition, part: Part, against: Part, *, confidence: float) -> Verdict:
    """Holds if the whole interval is on the right side, in part if the estimate alone is, else not.

    Of two measured quantities the intervals must not touch. Where chance has a p-value instead, it must be below 1 - confidence.
    """
    low, high = part.interval
    if condition.relation in ("at_most", "at_least", "within"):
        least, most = {
            "at_most": (-math.inf, condition.limit),
            "at_least": (condition.limit, math.inf),
            "within": (condition.limit - condition.distance, condition.limit + condition.distance),
        }[condition.relation]
        estimate, whole = least <= part.value <= most, least <= low and high <= most
    else:
        sign = 1 if condition.relation == "more_than" else -1
        estimate = sign * (part.value - against.value) > 0
        ends = (low, against.interval[1]) if sign > 0 else (high, against.interval[0])
        whole = sign * (ends[0] - ends[1]) > 0
        if condition.reference == CHANCE and not math.isnan(part.p_value):
            whole = part.p_value < 1 - confidence
    return FAILS if not estimate else HOLDS if whole else PARTLY


def put_together(verdicts: Sequence[str]) -> Verdict:
    """One verdict of several: what all say, else `holds in part`."""
    tested = {each for each in verdicts if each in (HOLDS, PARTLY, FAILS)}
    if not tested:
        return UNTESTED
    return HOLDS if tested == {HOLDS} else FAILS if tested == {FAILS} else PARTLY


def whole_of(parts: Sequence[Part]) -> Part:
    """Mean of the parts of a quantity, NaN left out, as the part `WHOLE`.

    Methods, and models, answer the same prompts, so their errors may go together: the interval is the mean of theirs, which is
    wide enough for that.
    """
    table = pd.DataFrame([vars(part) for part in parts if not math.isnan(part.value)])
    if table.empty:
        return Part(WHOLE, math.nan)
    means = table[["value", "low", "high", "chance"]].mean(skipna=False)
    return Part(WHOLE, **{str(name): float(value) for name, value in means.items()}, n=int(table["n"].sum()))  # pyright: ignore[reportArgumentType]


def judge_claims(
    claims: Sequence[Claim], quantities: Mapping[str, Quantity], *, model: str, confidence: float
) -> pd.DataFrame:
    """The `claims` table of a model: each claim as a whole and in parts, and what its criterion compares it with.

    Args:
        quantities: by name, every one that a claim names.
    """
    rows = []
    for claim in claims:
        quantity = quantities.get(claim.measure, Quantity(()))
        reason = claim.untested
        if claim.model not in ("", model):
            quantity, reason = Quantity(()), f"said of {claim.model} alone"
        rows += _claim_rows(
            claim, quantity, quantities, reason=reason or quantity.reason, confidence=confidence
        )
    measured = {claim.measure for claim in claims}
    compared = (
        {condition.reference for claim in claims for condition in claim.conditions} - measured - {"", CHANCE}
    )
    for name in sorted(compared):
        rows += [
            {
                **_row(quantities[name]),
                **_numbers(part),
                "claim": "",
                "measure": name,
                "criterion": "",
                "verdict": "",
            }
            for part in quantities[name].parts
        ]
    return pd.DataFrame(rows)


def _claim_rows(
    claim: Claim,
    quantity: Quantity,
    others: Mapping[str, Quantity],
    *,
    reason: str,
    confidence: float,
) -> list[dict[str, object]]:
    judged = {
        part.name: (judge_part(claim.conditions, part, others, confidence=confidence) or UNTESTED)
        if claim.conditions
        else SLIP
        for part in quantity.parts
    }
    verdict = SLIP if claim.slip else put_together(list(judged.values()))
    missing = [name for name, part_verdict in judged.items() if part_verdict == UNTESTED]
    note = reason if verdict in (UNTESTED, SLIP) else ""
    if missing and not note:
        compared = " or ".join(
            condition.reference for condition in claim.conditions if condition.reference not in ("", CHANCE)
        )
        note = f"no value of {', '.join(missing)}" + (f", or none of {compared}" if compared else "")
    common = {
        **_row(quantity),
        "claim": claim.id,
        "measure": claim.measure,
        "criterion": claim.criterion,
    }
    part_rows = [{**common, **_numbers(part), "verdict": judged[part.name]} for part in quantity.parts]
    return [{**common, **_numbers(whole_of(quantity.parts)), "verdict": verdict, "note": note}, *part_rows]


def _row(quantity: Quantity) -> dict[str, object]:
    return {"tables": list(quantity.tables), "rules": list(quantity.rules), "note": ""}


def _numbers(part: Part) -> dict[str, object]:
    return {("part" if name == "name" else name): value for name, value in vars(part).items()}


def average_claims(tables: Mapping[str, pd.DataFrame], exact: Mapping[str, Part]) -> pd.DataFrame:
    """The `claim_means` table: each claim over the models in which it was measured.

    The value is the mean over models; a verdict is what all models say, else `holds in part`.

    Args:
        tables: the `claims` table of each model.
        exact: means of measurements that another rule has averaged, by name; they take the place of ours.
    """
    whole = pd.concat([table.assign(model=model) for model, table in tables.items()], ignore_index=True)
    whole = whole[(whole["part"] == WHOLE) & (whole["claim"] != "")]
    rows = []
    for claim, of_models in whole.groupby("claim", sort=False):
        measured = of_models.dropna(subset="value")
        verdicts = list(of_models["verdict"])
        mean = whole_of(
            [
                Part(WHOLE, *numbers)
                for numbers in measured[["value", "low", "high"]].itertuples(index=False, name=None)
            ]
        )
        given = exact.get(str(of_models["measure"].iloc[0]), mean) if len(measured) == len(tables) else mean
        rows.append(
            {
                "claim": claim,
                "n_models": len(measured),
                "n": int(measured["n"].sum()),
                "value": given.value,
                "low": given.low,
                "high": given.high,
                "verdict": SLIP if SLIP in verdicts else put_together(verdicts),
                "note": "" if len(measured) else "; ".join(dict.fromkeys(of_models["note"])),
            }
        )
    return pd.DataFrame(rows)
