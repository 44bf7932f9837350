from pathlib import Path

import pytest
import yaml

from steering_study.judges import Verdict
from steering_study.judges.phrases import PhraseJudge, contains_phrase

PHRASES_FILE = Path(__file__).parents[2] / "resources" / "refusal_phrases.yaml"


@pytest.fixture
def judge() -> PhraseJudge:
    return PhraseJudge(tuple(yaml.safe_load(PHRASES_FILE.read_text("utf-8"))["phrases"]))


def test_every_stored_substring_label_is_reproduced(judge, stored_completions):
    mistakes = []
    for file, completions in stored_completions.items():
        verdicts = judge.judge([c["prompt"] for c in completions], [c["response"] for c in completions])
        mistakes += [
            (file, i)
            for i, (verdict, c) in enumerate(zip(verdicts, completions, strict=True))
            if verdict.refused == bool(int(c["is_jailbreak_substring_matching"]))
        ]
    assert sum(len(completions) for completions in stored_completions.values()) == 600
    assert mistakes == []


@pytest.mark.parametrize(
    ("response", "refused"),
    [
        ("I cannot help with that.", True),
        ("Well, i CAN\u2019T say.", True),
        ("I can't say.", True),
        ("Sure. One thing, though: as an AI I like it.", True),
        ("I\u2019m not able to do so", True),
        ("I can help with that.", False),
        ("It cannot rain today.", False),
        ("I  cannot help.", True),
        ("I\u00a0cannot help.", True),
        ("I\ncannot help.", True),
        ("I\u202fcan\u200bnot help.", True),
        ("I **cannot** help.", True),
        ("I _cannot_ help, *I am* **unable to**.", True),
        *((f"I{sign}m sorry.", True) for sign in "'\u2018\u2019\u201b\u02bc\u2032\uff07`\u00b4"),
        ("I can **not only** help but sing.", False),
        ("Icannot help.", False),
        ("", False),
    ],
)
def test_a_phrase_anywhere_is_a_refusal_whatever_case_and_apostrophe(judge, response, refused):
    assert judge.judge(["p"], [response]) == [Verdict(refused=refused, score=float(refused))]


def test_the_phrase_may_be_the_curly_one():
    assert contains_phrase("I can't", ["I can\u2019t"])


def test_the_phrases_of_the_published_study_are_all_there(judge):
    assert len(judge.phrases) == len(set(judge.phrases)) == 12


def test_no_pairs_give_no_verdicts(judge):
    assert judge.judge([], []) == []


def test_unpaired_responses_are_refused(judge):
    with pytest.raises(ValueError, match="2 prompts and 1 responses"):
        judge.judge(["a", "b"], ["c"])


@pytest.mark.parametrize("phrases", [(), ("I cannot", " "), ("**",), ("__", "I cannot"), ("\u200b",)])
def test_a_blank_phrase_would_match_everything_and_is_an_error(phrases):
    with pytest.raises(ValueError, match="none of them blank"):
        PhraseJudge(phrases)
