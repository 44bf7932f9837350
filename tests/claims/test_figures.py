"""The table of claims: words, badges and links, by hand."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from steering_study.claims.criteria import FAILS, HOLDS, PARTLY, SLIP, UNTESTED
from steering_study.claims.figures.table import BADGES, interval, quantity, table_claims

METHOD = "docs/attention.md#5-attention"
LISTED = pd.DataFrame(
    [
        ("qk", "Freezing takes little", "8.75 points", "Table 1, mean", "at most 20 points", ""),
        ("svv", "Clearing takes <much>", "53.75 points", "in words", "", "cells say 54.75"),
        ("edges", "So many edges", "8,790 edges", "in words", "exactly 8,790 edges", ""),
    ],
    columns=["claim", "statement", "published", "place", "reading", "slip"],
).assign(
    section=["attention", "attention", "circuits"],
    unit=["points", "points", "edges"],
    method=[METHOD, METHOD, ""],
)
NO = {"low": math.nan, "high": math.nan, "chance": math.nan, "p_value": math.nan, "n": 0, "note": ""}
BESIDE = {"tables": "ablations, overlap", "rules": "summarise_ablations"}


def row(claim: str, part: str, value: float, verdict: str, **given: object) -> dict[str, object]:
    model = {"model": "pocket-llama", "measure": claim, "criterion": ""}
    return {
        **model,
        **NO,
        **BESIDE,
        "claim": claim,
        "part": part,
        "value": value,
        "verdict": verdict,
        **given,
    }


CLAIMS = pd.DataFrame(
    [
        row("qk", "", 10.0, PARTLY, low=-4.0, high=24.0, n=60, chance=3.0, note="no value of po"),
        row("qk", "dim", 5.0, HOLDS),
        row("qk", "dim in ntp", 15.0, FAILS),
        row("svv", "", 40.0, SLIP, low=30.0, high=50.0),
        row("edges", "", math.nan, UNTESTED, tables="", rules="", note="said of another model"),
        row("", "dim", 1.0, ""),
    ]
)
MEANS = pd.DataFrame(
    [
        (name, value, value - 1, value + 1, verdict)
        for name, value, verdict in (("qk", 10.0, PARTLY), ("svv", 40.0, SLIP), ("edges", math.nan, UNTESTED))
    ],
    columns=["claim", "value", "low", "high", "verdict"],
).assign(n_models=1, n=60, note="")


@pytest.fixture
def page() -> str:
    return str(table_claims(LISTED, CLAIMS, MEANS, root="..", rules={})).replace("\N{NO-BREAK SPACE}", " ")


def row_of(page: str, words: str) -> str:
    (found,) = (line for line in page.splitlines() if words in line)
    return found


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (12.345, "%", "12.3\N{NO-BREAK SPACE}%"),
        (-4.0, "points", "\N{MINUS SIGN}4.0"),
        (0.914, "faithfulness", "0.91"),
        (-0.001, "faithfulness", "0.00"),
        (124441.0, "edges", "124,441"),
    ],
)
def test_numbers_in_their_unit(value, unit, words):
    assert quantity(value, unit) == words


def test_interval_stands_where_there_is_one():
    assert interval(12.0, 9.0, 15.0, "%").replace("\N{NO-BREAK SPACE}", " ") == "12.0 % [9.0, 15.0]"
    assert interval(0.3, math.nan, math.nan, "cosine") == "0.30"


def test_a_claim_shows_number_verdict_and_what_methods_say(page):
    claim = row_of(page, "Freezing takes little")
    assert ">10.0 [\N{MINUS SIGN}4.0, 24.0]</a>" in claim
    assert '<span class="badge">◐ holds in part</span>' in claim
    assert "DIM 5.0 ✓, DIM in NTP 15.0 ✗; chance 3.0; n = 60; no value of po" in claim
    assert ">holds if at most 20 points</small>" in claim
    assert "8.75 points" in claim
    assert "Table 1, mean" in claim


def test_every_number_leads_to_its_table_notebook_rule_and_equation():
    page = table_claims(LISTED, CLAIMS, MEANS, root="..", rules={"summarise_ablations": "../workflow/a.smk"})
    claim = row_of(page, "Freezing takes little")
    assert re.findall(r'href="([^"]*)"', claim) == [
        "../reports/notebooks/attention.html",
        "../workflow/a.smk",
        "../docs/attention.md#5-attention",
        "../results/pocket-llama/ablations.parquet",
        "../results/pocket-llama/overlap.parquet",
    ]


def test_a_rule_of_unknown_file_is_named_without_a_link(page):
    claim = row_of(page, "Freezing takes little")
    assert "rule summarise_ablations" in claim
    assert 'href=""' not in claim


def test_a_slip_is_marked_and_has_a_number_but_no_verdict(page):
    slip = row_of(page, "Clearing takes")
    assert 'class="published misprinted"' in slip
    assert "in words; slip: cells say 54.75" in slip
    assert "slip, no verdict" in slip
    assert "40.0 [30.0, 50.0]" in slip
    assert "holds if" not in slip
    assert "&lt;much&gt;" in slip


def test_what_is_not_tested_says_why(page):
    untested = row_of(page, "So many edges")
    assert "– not tested here" in untested
    assert "said of another model" in untested
    assert "8,790 edges" in untested


def test_what_others_are_compared_with_is_not_shown(page):
    assert page.count("<tr>") == 1 + len(LISTED)  # with the header


def test_the_mean_stands_beside_several_models():
    two = pd.concat([CLAIMS, CLAIMS.assign(model="gemma-2-2b-it")])
    page = str(table_claims(LISTED, two, MEANS, root="..", rules={})).replace("\N{NO-BREAK SPACE}", " ")
    assert "Gemma 2 2B" in page
    assert "mean of 2 models" in page
    assert "../results/summary/claim_means.parquet" in page
    assert "10.0 [9.0, 11.0]" in page
    assert "of 1 alone" in page  # the mean of one of them


def test_badges_are_told_apart_by_words():
    assert len({words for _, words in BADGES.values()}) == len({kind for kind, _ in BADGES.values()}) == 5
