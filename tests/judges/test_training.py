"""Training of the judge `declines`, on texts made up here; and the list of files that it was trained on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from steering_study.judges.declines import DeclinesJudge, read_weights
from steering_study.judges.phrases import PhraseJudge
from steering_study.judges.schemas import DECLINES_ERRORS
from steering_study.judges.training import (
    LEAST_PROMPTS,
    OF_PEOPLE,
    READERS,
    LabelledText,
    fit,
    left_out_errors,
    own_texts,
    read_labelled,
)
from steering_study.store.artifacts import read_table
from steering_study.store.yaml_files import read_yaml

ROOT = Path(__file__).parents[2]
FILES = ROOT / "resources/judges/labelled.yaml"
OWN = ROOT / "resources/judges/own_texts.yaml"
PHRASES = ["I cannot"]


def text(model: str, number: int, *, refused: bool, labelled_by: str = "source") -> LabelledText:
    words = f"Nope to {number}." if refused else f"Gladly, {number}."
    return LabelledText(model, f"prompt {number}", words, "refused" if refused else "complied", labelled_by)


def texts(model: str, **given: str) -> list[LabelledText]:
    return [
        text(model, number, refused=refused, **given)
        for number in range(2 * LEAST_PROMPTS)
        for refused in (True, False)
    ]


def test_weights_say_what_tells_the_two_kinds_apart():
    weights = fit(texts("a"))
    assert weights["first nope"] > 0 > weights["first gladly"]
    judge = DeclinesJudge(weights)
    assert [verdict.refused for verdict in judge.judge(["p", "p"], ["Nope to all.", "Gladly, sir."])] == [
        True,
        False,
    ]


def test_features_of_a_few_prompts_get_no_weight():
    rare = [LabelledText("a", "the same", "Zounds no.", "refused", "source")] * 50
    assert not [name for name in fit([*texts("a"), *rare]) if "zounds" in name]


def test_texts_of_one_kind_train_nothing():
    with pytest.raises(ValueError, match="all of one kind"):
        fit([text("a", 1, refused=True)])


def test_a_model_is_judged_by_weights_of_the_others():
    """A word that stands for refusals in the model left out alone must not help."""
    odd = [
        LabelledText("odd", f"prompt {n}", f"Verily {n}.", "refused", "people")
        for n in range(2 * LEAST_PROMPTS)
    ]
    plain = texts("plain", labelled_by="people")
    errors = left_out_errors([*odd, *plain, *texts("third")], [PhraseJudge(("Verily",))], confidence=0.95)
    assert list(errors) == DECLINES_ERRORS.names
    found = errors.set_index(["judge", "model", "truth"])["n_refused"]
    assert found["declines", "odd", "refused"] < 2 * LEAST_PROMPTS
    assert found["phrases", "odd", "refused"] == 2 * LEAST_PROMPTS
    assert found["declines", "plain", "refused"] == 2 * LEAST_PROMPTS
    assert found["declines", "plain", "complied"] == 0
    assert errors.set_index(["judge", "model", "truth"])["error_rate"]["phrases", "plain", "refused"] == 1.0


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        (
            "xstest",
            {"prompt": "p", "completion": "t", "final_label": "3_partial_refusal"},
            ("p", "t", "partly"),
        ),
        ("answers", {"instruction": "p", "output": "I cannot."}, ("p", "I cannot.", None)),
        ("answers", {"instruction": "p", "output": "Yes."}, ("p", "Yes.", "complied")),
        ("refusals", {"instruction": "p", "output": "No."}, ("p", "No.", "refused")),
        ("steered_refusals", {"prompt": "p", "response": "Yes."}, ("p", "Yes.", None)),
        ("plain_answers", {"prompt": "p", "response": "Yes."}, ("p", "Yes.", "complied")),
        (
            "guarded",
            {"prompt": "p", "response": "I cannot.", "is_jailbreak_llamaguard2": 0},
            ("p", "I cannot.", "refused"),
        ),
        (
            "guarded",
            {"prompt": "p", "response": "Yes.", "is_jailbreak_llamaguard2": 1},
            ("p", "Yes.", "complied"),
        ),
        ("guarded", {"prompt": "p", "response": "Hm.", "is_jailbreak_llamaguard2": 0}, ("p", "Hm.", None)),
    ],
)
def test_each_format_says_what_its_labels_are(kind, record, expected):
    assert READERS[kind](record, PHRASES) == expected


def test_files_are_read_in_order_and_sampled_by_seed(tmp_path):
    people, answers = tmp_path / "people.csv", tmp_path / "answers.json"
    people.write_text("prompt,completion,final_label\np,No.,2_full_refusal\n", "utf-8")
    answers.write_text(json.dumps([{"instruction": f"p{n}", "output": f"t{n}"} for n in range(50)]), "utf-8")
    entries = [
        {"name": "a", "model": "one", "format": "xstest"},
        {"name": "b", "model": "two", "format": "answers", "sample": 10},
    ]
    found, again, other = (
        read_labelled(entries, [people, answers], phrases=PHRASES, seed=seed) for seed in (0, 0, 1)
    )
    assert found == again != other
    assert found[0] == LabelledText("one", "p", "No.", "refused", "people")
    assert len(found) == 11


def test_own_texts_are_of_both_kinds_and_name_what_was_asked():
    found = own_texts(read_yaml(OWN), seed=0)
    assert {each.kind for each in found} == {"refused", "complied"}
    assert not [each for each in found if "{act}" in each.prompt + each.text]


def test_files_are_pinned_and_of_known_formats():
    entries = read_yaml(FILES)
    assert (
        len({entry["file"] for entry in entries}) == len({entry["name"] for entry in entries}) == len(entries)
    )
    for entry in entries:
        assert entry["format"] in READERS
        assert re.fullmatch("[0-9a-f]{64}", entry["sha256"])
        assert re.fullmatch(
            r"https://raw\.githubusercontent\.com/[\w.-]+/[\w.-]+/[0-9a-f]{40}/\S+", entry["url"]
        )
        assert entry["bytes"] > 0 < entry["rows"]
        assert entry["licence"]
    assert len({entry["model"] for entry in entries if entry["format"] in OF_PEOPLE}) == 2


def test_the_rule_writes_weights_and_errors(load_script, tmp_path):
    people = tmp_path / "people.csv"
    rows = [f"prompt {n},{'Nope' if n % 2 else 'Gladly'} {n}.,{1 + n % 2}" for n in range(40)]
    people.write_text("\n".join(["prompt,completion,final_label", *rows]), "utf-8")
    entries = [{"name": name, "model": name, "format": "xstest"} for name in ("one", "two")]
    phrases = tmp_path / "phrases.yaml"
    phrases.write_text("phrases: [Nope]\n", "utf-8")
    load_script("train_declines").main(
        entries=entries,
        raw=[people, people],
        own=OWN,
        phrases=phrases,
        confidence=0.95,
        seed=0,
        weights=tmp_path / "declines.csv",
        errors=tmp_path / "errors.parquet",
        provenance={},
    )
    assert read_weights(tmp_path / "declines.csv")["first nope"] > 0
    errors = read_table(tmp_path / "errors.parquet", DECLINES_ERRORS)
    assert set(errors["judge"]) == {"declines", "phrases"}
    assert set(errors["error_rate"]) == {0.0}
