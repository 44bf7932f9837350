import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from steering_study.figures.judge_tables import origin_words, table_judges
from steering_study.figures.judge_words import error_words
from steering_study.figures.tables import (
    Cell,
    html_table,
    table_asr,
    table_bystanders,
    table_endings,
    table_examples,
    table_flips,
    table_grid,
)
from steering_study.report.frames import FRAMES
from steering_study.report.vectors import search_grid
from steering_study.table_schemas import TABLES

ASR = pd.DataFrame(
    [
        ("pocket-llama", "none", "base", "harmless", 100, 0.99, 0.95, 1.0, 0.0),
        ("pocket-llama", "dim", "induce", "harmless", 100, 0.03, 0.01, 0.08, 0.01),
        ("pocket-gemma", "dim", "induce", "harmless", 90, 0.1, 0.05, 0.18, 0.02),
    ],
    columns=["model", "method", "condition", "dataset", "n", "asr", "asr_low", "asr_high", "degenerate_rate"],
).assign(judge="phrases")
ERRORS = pd.DataFrame(
    [
        ("phrases", "mine.csv", "all", "", "complied", 50, 1, 0.02, 0.0, 0.1, 0.02, 0.0, 0.1),
        ("phrases", "mine.csv", "all", "", "refused", 40, 36, 0.9, 0.77, 0.96, 0.1, 0.04, 0.23),
        ("phrases", "mine.csv", "harmless", "", "refused", 10, 10, 1.0, 0.72, 1.0, 0.0, 0.0, 0.28),
        ("minos", "mine.csv", "all", "turned", "complied", 50, 25, 0.5, 0.37, 0.63, 0.5, 0.37, 0.63),
    ],
    columns=list(TABLES["judge_errors"]),
)
PUBLISHED = pd.DataFrame(
    [("pocket-llama", "llama-3.2-3b-instruct", "harmless", "alpaca", "dim", 0.03)],
    columns=["model", "published_model", "dataset", "published_dataset", "method", "asr"],
)


class Rows(HTMLParser):
    """Text of each cell, row by row; complains of tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.rows and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ") + "|"


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


def test_both_errors_of_the_judge_are_put_into_words():
    assert error_words(ERRORS, "phrases", "harmful").replace("\N{NO-BREAK SPACE}", " ") == (
        "error of the judge phrases, on 40 to 50 labelled texts of each kind: 10 % [4, 23] of refusals missed and "
        "2 % [0, 10] of answers called refusals"
    )
    assert error_words(ERRORS, "minos", "all").endswith(
        "of texts that begin as the other kind, 50\N{NO-BREAK SPACE}% [37,\N{NO-BREAK SPACE}63] of answers called refusals"
    )


def test_a_judge_without_labels_is_said_to_be_unmeasured():
    words = "error of the judge: not measured, as there are no labelled texts (docs/judges.md)"
    assert error_words(ERRORS[:0], "phrases", "all") == words
    assert words in table_asr(ASR, PUBLISHED, ERRORS[:0])
    assert Rows(table_judges(ERRORS[:0], ASR)).rows[1:] == [
        ["no labelled texts, so no judge is measured|"],
        ["–|"] * 6,
    ]
    assert origin_words(ERRORS[:0]).startswith("none. The study has no bundled model")


def test_confusion_stands_by_judge_and_says_who_is_in_use():
    assert Rows(table_judges(ERRORS, ASR)).rows[1:] == [
        ["phrases, on mine.csv|judges harmless prompts|"],
        ["all|", "labelled texts|", "36 of 40|", "1 of 50|", "10 % [4, 23]|", "2 % [0, 10]|"],
        ["harmless|", "labelled texts|", "10 of 10|", "–|none labelled|", "0 % [0, 28]|", "–|"],
        ["minos, on mine.csv|not in use|"],
        [
            "all|",
            "texts that begin as the other kind|",
            "–|none labelled|",
            "25 of 50|",
            "–|",
            "50 % [37, 63]|",
        ],
    ]
    assert origin_words(ERRORS) == "mine.csv, of the user"


def test_numbers_carry_the_value_they_were_printed_from():
    assert 'data-value="0.03"' in table_asr(ASR, PUBLISHED, ERRORS)


def test_flips_table_draws_from_one_row():
    flips = pd.DataFrame(
        [("m", "dim", "induce", "harmless", 1.0, 100, 0.9, 0.8, 0.95, 0.0)],
        columns=["model", "method", "condition", "dataset", "coefficient", "n", "flip_rate", "flip_low", "flip_high", "degenerate_rate"],
    )  # fmt: skip
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
    example = {
        "model": hostile, "method": "dim", "condition": "induce", "dataset": hostile, "coefficient": 1.0, "prompt_id": hostile,
        "prompt": hostile, "base": hostile, "base_verdict": "complied", "steered": hostile, "steered_verdict": "refused", "flipped": True,
    }  # fmt: skip
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


def test_short_row_is_refused():
    with pytest.raises(ValueError, match="a row of 1 cells under a header of 2"):
        html_table(["a", "b"], [[Cell("x")]])


def test_bystanders_show_steered_and_unsteered_shares():
    row = {"model": "pocket-llama", "method": "dim", "condition": "bypass", "dataset": "borderline_safe",
           "coefficient": -1.2, "n": 50, "refused_rate": 0.1, "refused_low": 0.04, "refused_high": 0.21,
           "base_refused_rate": 0.3, "looping_rate": 0.02, "base_looping_rate": 0.0, "degenerate_rate": 0.06,
           "base_degenerate_rate": 0.04}  # fmt: skip
    _, group, cells = Rows(table_bystanders(pd.DataFrame([row]))).rows
    assert group == ["pocket-llama|"]
    assert cells[:2] == ["DIM|", "borderline harmless|"]
    assert cells[3] == "10 % [4, 21]|unsteered 30 %|"
    assert cells[4:] == ["2 %|unsteered 0 %|", "6 %|unsteered 4 %|", "50|"]


def test_the_grid_stands_beside_the_published_one():
    trials = pd.DataFrame(
        [("pocket-llama", "po", 0.04, 12, 4, 42, 0.02, False), ("pocket-llama", "po", 0.1, 12, 4, 42, 0.02, True),
         ("pocket-llama", "ntp", 0.04, 12, 4, 42, float("nan"), True)],
        columns=["model", "method", "learning_rate", "batch_size", "epochs", "seed", "phi", "selected"],
    )  # fmt: skip
    printed = pd.DataFrame(
        {
            "method": ["po"] * 2 + ["ntp"],
            "setting": ["phi", "phi", "batch_size"],
            "tried": [2e-2, 1e-5, 6.0],
        }
    )
    table = Rows(table_grid(search_grid(trials), printed)).rows
    rows = [[cell.rstrip("|") for cell in row] for row in table if len(row) > 1]
    assert rows == [
        ["setting", "tried here", "pocket-llama|selected", "published"],
        ["learning rate", "0.04", "0.04", "–"],
        ["batch", "12", "12", "6"],
        ["epochs", "4", "4", "–"],
        ["seed", "42", "42", "–"],
        ["learning rate", "0.04, 0.1", "0.1", "–"],
        ["batch", "12", "12", "–"],
        ["epochs", "4", "4", "–"],
        ["seed", "42", "42", "–"],
        ["φ", "0.02", "0.02", "0.00001, 0.02"],
    ]
