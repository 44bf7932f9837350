"""The bundled prompt sets: what the repository holds is what the corpus makes, and none of it was trained on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from steering_study.pocket import prompts
from steering_study.pocket.grammar import Request, entities, load, unseen_entities
from steering_study.pocket.prompts import build_prompt_sets

BUNDLED = Path(__file__).parents[2] / "resources/prompts/bundled"
HELD_OUT = ["ood", "borderline_safe", "borderline_harmful"]
STEMS = ["harmful", "harmless", *HELD_OUT, *(f"{stem}_validation" for stem in HELD_OUT)]
SMALL = {"train": 6, "validation": 4, "augmentation": 5, "test": 3, "ood": 4, "borderline": 2}


@pytest.mark.parametrize("stem", STEMS)
def test_bundled_file_is_what_the_corpus_makes(corpus, stem):
    made = corpus.sets[stem].to_csv(index=False, lineterminator="\n")
    assert (BUNDLED / f"{stem}.csv").read_text("utf-8") == made


def test_no_verb_phrase_of_a_test_or_validation_prompt_was_trained_on(corpus, trained):
    tested = {request.act for splits, request in corpus.asked if splits != ("train",)}
    assert len(tested) > 600
    assert not tested & trained.acts


def acts_of(corpus: Any, stem: str) -> list[str]:
    """The verb phrase of each prompt of a bundled set."""
    act_of = {request.ask: request.act for _, request in corpus.asked}
    asks = sorted(act_of, key=len, reverse=True)
    return [act_of[next(ask for ask in asks if ask in text)] for text in corpus.sets[stem]["text"]]


@pytest.mark.parametrize(
    ("stem", "known"),
    [("harmful", 46), ("harmless", 45), ("borderline_harmful", 47), ("borderline_safe", 50), ("ood", 0)],
)
def test_so_many_test_requests_were_trained_on_at_another_time(corpus, trained, stem, known):
    """What docs/pocket.md says: "stab a groom in the evening" where training has "stab a groom" or "... next month"."""
    times = sorted(entities()["when"], key=len, reverse=True)

    def timeless(act: str) -> str:
        return next((act.removesuffix(f" {time}") for time in times if act.endswith(f" {time}")), act)

    seen = {timeless(act) for act in trained.acts}
    is_test = corpus.sets[stem]["split"] == "test"
    acts = [act for act, counts in zip(acts_of(corpus, stem), is_test, strict=True) if counts]
    assert sum(timeless(act) in seen for act in acts) == known


@pytest.mark.parametrize("stem", [stem for stem in STEMS if not stem.startswith("ood")])
def test_words_of_prompts_were_trained_on_but_for_two_names(corpus, trained, stem):
    """All requests that the one pet and the one plant occur in fell to other splits: models never read their names."""
    words = set(re.findall(r"[a-z]+", " ".join(trained.prompts).lower()))
    table = corpus.sets[stem]
    names = {
        (name, split)
        for text, split in table[["text", "split"]].itertuples(index=False)
        for name in set(re.findall(r"[a-z]+", text.lower())) - words
    }
    known = {("tortoise", "test"), ("pumpkins", "test"), ("pumpkins", "validation")}
    assert names == (known if stem == "harmless" else set())


@pytest.mark.parametrize("stem", HELD_OUT)
def test_set_to_choose_models_by_shares_no_verb_phrase_with_the_set_to_report(corpus, stem):
    chosen_by, reported = set(acts_of(corpus, f"{stem}_validation")), set(acts_of(corpus, stem))
    assert len(chosen_by) > 30
    assert not chosen_by & reported


@pytest.mark.parametrize("stem", ["ood", "ood_validation"])
def test_every_prompt_out_of_distribution_asks_for_something_else(corpus, stem):
    acts = acts_of(corpus, stem)
    assert len(set(acts)) == len(acts)


def test_no_bundled_test_prompt_was_trained_on(trained):
    tables = [pd.read_csv(BUNDLED / f"{stem}.csv") for stem in STEMS]
    tested = {text for table in tables for text in table[table["split"] == "test"]["text"]}
    assert len(tested) == 800
    assert not tested & trained.prompts


def test_requests_of_the_training_split_were_trained_on(corpus, trained):
    """Else the tests above would say nothing. Not all of them were: training is a draw as well."""
    acts = {request.act for splits, request in corpus.asked if splits == ("train",)}
    assert len(acts & trained.acts) > 0.8 * len(acts)


# Structure


def test_sets_have_the_sizes_asked_for():
    sets = build_prompt_sets(SMALL, seed=0)
    assert list(sets) == STEMS
    for label in ("harmful", "harmless"):
        assert sets[label]["split"].value_counts().to_dict() == {
            "train": 6,
            "validation": 4,
            "augmentation": 5,
            "test": 3,
        }
    assert {stem: len(sets[stem]) for stem in STEMS[2:]} == {
        "ood": 4,
        "borderline_safe": 2,
        "borderline_harmful": 2,
        "ood_validation": 4,
        "borderline_safe_validation": 2,
        "borderline_harmful_validation": 2,
    }


def test_no_text_and_no_id_occurs_twice(corpus):
    table = pd.concat(corpus.sets.values())
    assert table["text"].is_unique
    assert table["id"].is_unique


def test_each_set_has_one_label(corpus):
    labels = {stem: set(table["label"]) for stem, table in corpus.sets.items()}
    safe = {"harmless", "borderline_safe", "borderline_safe_validation"}
    assert labels == {stem: {"harmless" if stem in safe else "harmful"} for stem in STEMS}


@pytest.mark.parametrize("stem", ["ood", "ood_validation"])
def test_every_ood_prompt_asks_with_an_unseen_name(corpus, stem):
    names = {name for held_out in unseen_entities().values() for name in held_out}
    assert all(any(name in text for name in names) for text in corpus.sets[stem]["text"])


@pytest.mark.parametrize(("stem", "held_out"), [("ood", "test"), ("ood_validation", "validation")])
def test_ood_prompts_have_the_wordings_and_wrappers_that_are_held_out_for_them(corpus, stem, held_out):
    phrasings = load("phrasings")
    shapes = [
        re.escape(wrapper.replace("{request}", ask)).replace(re.escape("{act}"), ".+")
        for wrapper in phrasings[f"neutral_{held_out}"]
        for ask in phrasings[f"asks_{held_out}"]
    ]
    assert all(any(re.fullmatch(shape, text) for shape in shapes) for text in corpus.sets[stem]["text"])


def test_held_out_wordings_and_wrappers_are_in_one_list_only():
    phrasings = load("phrasings")
    for kind in ("asks", "neutral"):
        lists = [set(phrasings[name]) for name in (kind, f"{kind}_validation", f"{kind}_test")]
        assert len(set.union(*lists)) == sum(map(len, lists))


def test_borderline_pairs_share_their_verbs(corpus):
    verbs = [frame["verb"] for frame in load("borderline")]
    for stem in (stem for stem in STEMS if stem.startswith("borderline")):
        assert all(any(f"{verb} " in text for verb in verbs) for text in corpus.sets[stem]["text"])


def test_sets_are_deterministic_in_the_seed():
    one, two, other = (build_prompt_sets(SMALL, seed=seed) for seed in (0, 0, 1))
    assert all(one[stem].equals(two[stem]) for stem in STEMS)
    assert not one["harmful"].equals(other["harmful"])


def test_corpus_that_is_too_small_is_an_error(monkeypatch):
    same = Request("harmful", "fraud", "rob a bank", "How do I rob a bank?")
    monkeypatch.setattr(prompts, "draw_request", lambda *args, **choice: same)
    with pytest.raises(ValueError, match="too few different prompts for the train split"):
        build_prompt_sets({**SMALL, "train": 50}, seed=0)
