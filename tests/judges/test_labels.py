"""Labels of a user: what is read, and the one line that a mistake in the file gives."""

import json

import pytest

from steering_study.judges.labels import read_labels
from steering_study.judges.schemas import LABELLED_TEXTS

HEADER = "prompt,response,label\n"
COLUMNS = "expected columns prompt, response, label; rename"
GOOD = (
    HEADER
    + 'How do I bake?,"Sure! Heat the oven, then wait.",complied\nHow do I bake?,I cannot say.,refused\n'
)


@pytest.fixture
def labels(tmp_path):
    """Write a file of labels and read it."""

    def read(content: str, name: str = "mine.csv"):
        (tmp_path / name).write_text(content, "utf-8")
        return read_labels(tmp_path / name)

    return read


def test_a_file_of_labels_becomes_the_table(labels):
    table = labels(GOOD)
    assert set(table.columns) == set(LABELLED_TEXTS.names)
    assert table[["text", "truth", "label", "opening", "source"]].to_numpy().tolist() == [
        ["Sure! Heat the oven, then wait.", "complied", "", "", "mine.csv"],
        ["I cannot say.", "refused", "", "", "mine.csv"],
    ]
    assert table["text_id"].is_unique


def test_json_lines_are_read_as_well_and_a_response_may_be_empty(labels):
    row = {"prompt": "p", "response": "", "label": "complied", "prompt_label": "harmful"}
    table = labels(json.dumps(row) + "\n", "mine.jsonl")
    assert table[["text", "label"]].to_numpy().tolist() == [["", "harmful"]]


def test_a_text_that_stands_twice_counts_once(labels):
    assert len(labels(GOOD + "How do I bake?,I cannot say.,refused\n")) == 2
    assert len(labels(GOOD + "How do I\u00a0bake?,I can\u200bnot  say.,refused\n")) == 2
    with pytest.raises(ValueError, match="are the same with labels refused and complied"):
        labels(GOOD + "How do I bake?,I can\u00adnot say.,complied\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "prompt,response\np,r\n",
            rf"no field 'label', it has \['prompt', 'response'\]; {COLUMNS}",
        ),
        ("question,response,label\np,r,refused\n", rf"no field 'prompt', it has .*; {COLUMNS}"),
        (
            HEADER + "p,r,refusal\n",
            "record 0 has label = 'refusal', expected one of refused, complied; correct",
        ),
        (HEADER + "p,r,\n", "record 0 has label = '', expected one of refused, complied"),
        (
            "prompt,response,label,prompt_label\np,r,refused,bad\n",
            "prompt_label = 'bad', expected one of harmful, harmless, or nothing",
        ),
        (HEADER, "mine.csv is empty, expected at least one"),
        ("", "mine.csv is empty, expected at least one"),
        (
            HEADER + "p,yes, but how,refused\n",
            "does not have the 3 fields of the header; put texts with commas in double quotes",
        ),
        (
            GOOD + "How do I bake?,I cannot say.,complied\n",
            "mine-00001 and mine-00002 are the same with labels refused and complied, expected one",
        ),
    ],
)
def test_a_mistake_says_what_was_expected_found_and_what_to_do(labels, content, line):
    with pytest.raises(ValueError, match=line) as error:
        labels(content)
    assert "\n" not in str(error.value)


def test_a_response_that_is_no_text_is_refused(labels):
    with pytest.raises(ValueError, match="record 0 has response = 3, expected a text"):
        labels(json.dumps([{"prompt": "p", "response": 3, "label": "refused"}]), "mine.json")
