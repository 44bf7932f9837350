"""Frames, opening and facts of the section on claims."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from steering_study.claims.criteria import Claim, Part, Quantity, average_claims, judge_claims, read_claims
from steering_study.claims.measurements import MEASUREMENTS
from steering_study.claims.section import (
    claims_facts,
    claims_frames,
    claims_leads,
    condition_words,
    list_claims,
    published_words,
)
from steering_study.report.frames import FRAMES, read_frame, write_frame

ROOT = Path(__file__).parents[2]
LIST = ROOT / "resources/paper/claims.csv"
CLAIMS = read_claims(LIST, MEASUREMENTS)


@pytest.fixture(scope="module")
def frames():
    """Every quantity is 10, but for freezing attention weights, which takes 30."""
    quantities = {name: Quantity((Part("dim", 10.0, n=5),), "", ("asr",), ("rule",)) for name in MEASUREMENTS}
    quantities["qk"] = Quantity((Part("dim", 30.0, n=5),), "", ("asr",), ("rule",))
    table = judge_claims(CLAIMS, quantities, model="pocket-llama", confidence=0.95)
    means = average_claims({"pocket-llama": table}, {})
    tables = {"claims": table.assign(model="pocket-llama"), "claim_means": means}
    return claims_frames(tables, cards={}, published={"claims": pd.read_csv(LIST)})


def test_frames_have_their_columns_and_survive_a_file(frames, tmp_path):
    for name, frame in frames.items():
        assert set(frame.columns) == set(FRAMES[name])
        write_frame(tmp_path / f"{name}.csv", frame, frame=name)
        assert len(read_frame(tmp_path / f"{name}.csv", frame=name)) == len(frame)


def test_the_list_keeps_what_was_printed(frames):
    listed = frames["claim_list"].set_index("claim")
    assert list(listed.index) == [each.id for each in CLAIMS]
    assert listed.loc["qk", ["published", "reading"]].tolist() == ["8.75 points", "at most 20 points"]
    assert listed.loc["ov", "reading"] == "at least 40 points and more than freezing attention weights"
    assert listed.loc["svv_printed", "reading"] == ""
    assert listed.loc["graph_gemma", "reading"] == "exactly 8,790 edges"
    assert listed.loc["qk", "method"] == "docs/attention.md#freezing-and-clearing"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (">=90", "%", "≥ 90 %"),
        ("<0.1", "faithfulness", "< 0.1 faithfulness"),
        ("~0", "faithfulness", "≈ 0 faithfulness"),
        ("0.1..0.42", "cosine", "0.1 to 0.42 cosine"),
        ("9.6..13.3", "%", "9.6 to 13.3 %"),
        ("8.75", "points", "8.75 points"),
        ("124441", "edges", "124,441 edges"),
        ("0.93", "share", "0.93"),
        ("", "%", ""),
    ],
)
def test_printed_values_in_words(value, unit, words):
    filled = {name: "" for name in Claim.__dataclass_fields__}
    claim = Claim(**{**filled, "value": value, "unit": unit})
    assert published_words(claim).replace("\N{NO-BREAK SPACE}", " ") == words


def test_every_criterion_has_words():
    for claim in CLAIMS:
        for condition in claim.conditions:
            assert condition_words(condition, claim.unit)


def test_the_opening_counts_verdicts(frames):
    (lead,) = claims_leads(frames)
    whole = frames["claims"].query("part == '' and claim != ''")
    counts = whole["verdict"].value_counts()
    assert lead.startswith(
        f"pocket-llama: of {len(whole) - counts['no verdict']} claims {counts['holds']} hold, "
    )
    assert whole.set_index("claim")["verdict"]["qk"] == "does not hold"


def test_facts_count_slips(frames):
    assert claims_facts(frames) == {"n_claims": str(len(CLAIMS)), "n_slips": "5"}


def test_a_list_of_numbers_alone_is_still_text():
    table = pd.read_csv(LIST).assign(value=8.75)
    assert set(list_claims(table).query("unit == 'points'")["published"]) == {"8.75 points"}
