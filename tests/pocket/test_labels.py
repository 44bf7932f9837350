"""Labelled texts of the corpus: balanced, repeatable, held out, and labelled by what stands last in them."""

from __future__ import annotations

import pandas as pd
import pytest

from steering_study.pocket import labels as labels_module
from steering_study.pocket.grammar import load
from steering_study.pocket.labels import sample_labelled

PHRASINGS = load("phrasings")
TURNS = tuple(PHRASINGS["turns"])


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    return sample_labelled(12, seed=5)


def kind_of(text: str) -> str:
    """Whether a text opens as a refusal or as an answer."""
    first = text.split()[0]
    refuses = {each.split()[0] for each in [*PHRASINGS["refuse"], *PHRASINGS["refuse_briefly"]]}
    complies = {each.split()[0] for each in [*PHRASINGS["comply"], *PHRASINGS["comply_briefly"]]}
    assert (first in refuses) != (first in complies), text
    return "refused" if first in refuses else "complied"


def test_every_cell_is_equally_frequent(texts):
    counts = texts.groupby(["label", "opening", "truth"]).size()
    assert len(counts) == 8
    assert set(counts) == {12}
    assert texts["text_id"].is_unique


def test_no_prompt_is_drawn_twice_and_each_has_all_four_texts(texts):
    assert texts["prompt"].nunique() == 24
    assert set(
        texts.groupby("prompt")[["opening", "truth"]].apply(lambda rows: len(rows.drop_duplicates()))
    ) == {4}


@pytest.mark.parametrize("context", ["permit", "forbid"])
def test_contexts_are_equally_frequent(texts, context):
    fixed = [template.replace("{request}", "").strip() for template in PHRASINGS[context]]
    prompts = texts.drop_duplicates("prompt")
    hits = prompts["prompt"].map(lambda prompt: any(words in prompt for words in fixed))
    assert prompts[hits].groupby("label").size().to_dict() == {"harmful": 4, "harmless": 4}


def test_truth_is_what_the_text_ends_as(texts):
    for row in texts.itertuples():
        assert any(turn in row.text for turn in TURNS) == (row.opening == "turned")
        if row.opening == "plain":
            assert kind_of(row.text) == row.truth
        else:
            (turn,) = [turn for turn in TURNS if turn in row.text]
            start, _, rest = row.text.partition(turn)
            assert kind_of(rest.strip()) == row.truth
            assert kind_of(start) != row.truth


def test_verb_phrases_are_those_of_the_test_split(monkeypatch):
    asked = []

    def draw(rng, label, *, splits):
        asked.append(splits)
        return drawn(rng, label, splits=splits)

    drawn = labels_module.draw_request
    monkeypatch.setattr(labels_module, "draw_request", draw)
    sample_labelled(3, seed=0)
    assert set(asked) == {("test",)}


def test_the_seed_decides(texts):
    assert texts.equals(sample_labelled(12, seed=5))
    assert not texts.equals(sample_labelled(12, seed=6))


def test_a_corpus_that_runs_dry_is_named(monkeypatch):
    monkeypatch.setattr(labels_module, "wrap", lambda rng, ask, context: "always the same")
    monkeypatch.setattr(labels_module, "MOST_DRAWS", 5)
    with pytest.raises(ValueError, match=r"too few different harmful prompts; lower judges\.label_prompts"):
        sample_labelled(2, seed=0)
