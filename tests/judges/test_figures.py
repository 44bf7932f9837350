"""The table of judge errors, and its numbers in words."""

from tests.drawing.rows import Rows
from tests.judges.rates import ASR, ERRORS, PUBLISHED

from steering_study.judges.figures.table import origin_words, table_judges
from steering_study.judges.figures.words import error_words
from steering_study.steering.figures.tables import table_asr


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
