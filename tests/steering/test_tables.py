import re

import pandas as pd
from tests.drawing.rows import Rows
from tests.judges.rates import ASR, ERRORS, KEY, PUBLISHED

from steering_study.report.frames import FRAMES
from steering_study.steering.figures.tables import (
    table_asr,
    table_bystanders,
    table_endings,
    table_examples,
    table_flips,
)


def test_asr_stands_beside_the_published_rate():
    rows = Rows(table_asr(ASR, PUBLISHED, ERRORS)).rows
    assert rows == [
        ["", "pocket-llama|this run|", "pocket-gemma|this run|", "Llama 3.2 3B|published|"],
        [
            "harmless prompts, goal: lower|error of the judge phrases, on 10 labelled texts of each kind: "
            "0 % [0, 28] of refusals missed|"
        ],
        ["no steering|", "99 % [95, 100]|n = 100, 0 % degenerate|", "–|", "–|"],
        [
            "DIM|",
            "3 % [1, 8]|n = 100, 1 % degenerate|",
            "10 % [5, 18]|n = 90, 2 % degenerate|",
            "3 %|Alpaca|",
        ],
    ]


def test_numbers_carry_the_value_they_were_printed_from():
    assert 'data-value="0.03"' in table_asr(ASR, PUBLISHED, ERRORS)


def test_flips_table_draws_from_one_row():
    flips = pd.DataFrame(
        [("m", "dim", "induce", "harmless", 1.0, 100, 0.9, 0.8, 0.95, 0.0)],
        columns=[*KEY, "coefficient", "n", "flip_rate", "flip_low", "flip_high", "degenerate_rate"],
    )
    assert Rows(table_flips(flips)).rows[-1] == ["DIM|", "harmless|", "+1|", "90 % [80, 95]|", "0 %|", "100|"]


def test_endings_table_counts_texts_that_end_and_that_are_cut():
    rows = [("m", "base", 200, 150, 50, 31.2, 64, "2"), ("m", "induce", 8, 0, 8, 63.5, 64, "2")]
    page = Rows(table_endings(pd.DataFrame(rows, columns=list(FRAMES["endings"]))))
    narrow = "\N{NO-BREAK SPACE}"
    assert [[cell.replace(narrow, " ") for cell in row] for row in page.rows[-2:]] == [
        ["unsteered|", "200|", "75 %|150|", "25 %|50|", "31|", "64|"],
        ["DIM, harmless prompts become refused|", "8|", "0 %|0|", "100 %|8|", "64|", "64|"],
    ]


def test_texts_are_escaped():
    hostile = "<script>alert('x')</script> & <img src=x onerror=y>"
    given = ("model", "dataset", "prompt_id", "prompt", "base", "steered")
    verdicts = {"base_verdict": "complied", "steered_verdict": "refused", "flipped": True}
    example = {"method": "dim", "condition": "induce", "coefficient": 1.0, **verdicts}
    example |= dict.fromkeys(given, hostile)
    page = table_examples(pd.DataFrame([example]))
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") == 6


def test_unflipped_examples_say_so():
    example = dict.fromkeys(
        [
            "model",
            "method",
            "condition",
            "dataset",
            "prompt_id",
            "prompt",
            "base",
            "base_verdict",
            "steered",
            "steered_verdict",
        ],
        "x",
    )
    page = table_examples(pd.DataFrame([{**example, "coefficient": -1.0, "flipped": False}]))
    assert "x; not flipped" in page
    assert re.search(r'class="unflipped"', page)


def test_bystanders_show_steered_and_unsteered_shares():
    row = dict(zip(KEY, ("pocket-llama", "dim", "bypass", "borderline_safe"), strict=True))
    row |= {"coefficient": -1.2, "n": 50, "refused_rate": 0.1, "refused_low": 0.04, "refused_high": 0.21}
    row |= {"base_refused_rate": 0.3, "looping_rate": 0.02, "base_looping_rate": 0.0}
    row |= {"degenerate_rate": 0.06, "base_degenerate_rate": 0.04}
    _, group, cells = Rows(table_bystanders(pd.DataFrame([row]))).rows
    assert group == ["pocket-llama|"]
    assert cells[:2] == ["DIM|", "borderline harmless|"]
    assert cells[3] == "10 % [4, 21]|unsteered 30 %|"
    assert cells[4:] == ["2 %|unsteered 0 %|", "6 %|unsteered 4 %|", "50|"]
