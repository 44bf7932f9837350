"""Requests of the pocket corpus: slots, articles, and which names occur where."""

from __future__ import annotations

import random
import re

import pytest

from steering_study.pocket import grammar
from steering_study.pocket.grammar import (
    entities,
    fact_words,
    fill,
    load,
    pools,
    sample_harmful,
    sample_harmless,
    split_of,
    unseen_entities,
    with_article,
    wording_words,
)

NAMES = {"animal": ("otter", "owl"), "job": ("nurse",), "craft": ("kite",), "weapon": ("acid spray",)}
WRONG_ARTICLE = re.compile(r"\b(?:a [aeiou]|an [^aeiou\W])(?!sed)(?<!an h)", re.IGNORECASE)


def filled(template: str, **bound: str) -> str:
    return fill(template, bound, rng=random.Random(0), pools=NAMES)


# Slots


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("see {animal}", "see otter"),
        ("see {a animal}", "see an otter"),
        ("see {a job}", "see a nurse"),
        ("{A craft} flies", "A kite flies"),
        ("in {animal.home}", "in rivers"),
        ("use {a weapon}", "use an acid spray"),
        ("no slot", "no slot"),
    ],
)
def test_slot(template, text):
    assert filled(template, animal="otter") == text


def test_slot_keeps_its_choice_in_later_templates():
    bound: dict[str, str] = {}
    rng = random.Random(0)
    first = fill("{animal}", bound, rng=rng, pools=NAMES)
    assert {fill("{animal}", bound, rng=rng, pools=NAMES) for _ in range(20)} == {first}


def test_second_slot_of_a_class_is_another_one():
    for seed in range(20):
        one, two = fill("{animal} {animal2}", {}, rng=random.Random(seed), pools=NAMES).split()
        assert one != two


# Articles


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("animal", "otter", "an otter"),
        ("job", "plumber", "a plumber"),
        ("malware", "a rootkit", "a rootkit"),
        ("malware", "spyware", "spyware"),
        ("drug", "opium", "opium"),
        ("poison", "arsenic", "arsenic"),
    ],
)
def test_article(kind, name, text):
    assert with_article(kind, name) == text


def test_articles_are_right_throughout_the_corpus(stream):
    """But between random words."""
    texts = {text for request, example in stream for text in (request.ask, example.response)}
    assert not [text for text in texts if WRONG_ARTICLE.search(text)]


# Families and categories


@pytest.mark.parametrize("family", load("harmless"), ids=lambda family: family["family"])
def test_family_fills(family):
    for seed in range(12):
        request = sample_harmless(
            random.Random(seed), family=family, held_out="test" if seed % 2 == 0 else None
        )
        assert bool(request.says) == bool(family["says"])  # without its own, the shared steps answer
        for text in (request.act, request.ask, *request.says):
            assert text
            assert not set("{}") & set(text)
        assert all(text[-1] in ".?" for text in (request.ask, *request.says))


@pytest.mark.parametrize("category", load("harmful"), ids=lambda category: category["category"])
def test_category_fills(category):
    for act in category["acts"]:
        for seed in range(4):
            one = {**category, "acts": [act]}
            request = sample_harmful(
                random.Random(seed), category=one, held_out="test" if seed % 2 == 0 else None
            )
            assert request.act in request.ask
            assert not set("{}") & set(request.ask)
            assert not request.says
            assert request.reasons == tuple(category["reasons"])
            assert request.offers == tuple(category["offers"])


def test_answer_speaks_of_what_was_asked():
    family = next(each for each in load("harmless") if each["family"] == "explain_animal")
    for seed in range(20):
        request = sample_harmless(random.Random(seed), family=family)
        animal = request.act.removeprefix("learn about the ")
        facts = entities()["animal"][animal]
        assert animal in request.ask
        assert request.says[0] == f"The {animal} lives in {facts['home']}."
        assert facts["food"] in request.says[1]


@pytest.mark.parametrize(
    ("family", "result"),
    [("sum", lambda a, b: a + b), ("subtract", lambda a, b: abs(a - b)), ("bigger", max)],
)
def test_arithmetic_is_right(family, result):
    entry = next(each for each in load("harmless") if each["family"] == family)
    for seed in range(30):
        request = sample_harmless(random.Random(seed), family=entry)
        one, two = map(int, re.findall(r"\d+", request.ask))
        assert int(re.findall(r"\d+", request.says[0])[-1]) == result(one, two)


def test_entity_with_another_number_of_facts_is_named(monkeypatch):
    data = {"animal": {"fields": ["home", "food"], "items": {"otter": "rivers"}}}
    monkeypatch.setattr(grammar, "load", lambda name: data)
    with pytest.raises(ValueError, match=r"animal 'otter' has facts \['rivers'\]"):
        entities.__wrapped__()


# Unseen names


def test_pools_part_seen_from_unseen_names():
    for kind, unseen in unseen_entities().items():
        assert set(unseen) <= set(entities()[kind])
        if unseen:
            assert set(pools("unseen")[kind]) == set(unseen)
        assert not set(unseen) & set(pools("seen")[kind])
        assert set(pools("seen")[kind]) | set(unseen) == set(pools("all")[kind])


def names_in(text: str) -> list[str]:
    """Unseen names that a text holds as whole words."""
    names = {name for held_out in unseen_entities().values() for name in held_out}
    return [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]


def test_unseen_names_occur_in_no_harmful_request_of_the_training_stream(stream):
    assert not [request.act for request, _ in stream if request.label == "harmful" and names_in(request.act)]


def test_unseen_names_occur_in_harmless_requests_of_the_training_stream(stream):
    asked = {name for request, _ in stream if request.label == "harmless" for name in names_in(request.ask)}
    assert len(asked) > 20


# Splits


def test_split_of_a_verb_phrase_has_the_intended_share():
    splits = [split_of(f"make number {i}") for i in range(20_000)]
    # of 256 buckets; 0.01 is four standard deviations
    assert splits.count("validation") / len(splits) == pytest.approx(20 / 256, abs=0.01)
    assert splits.count("test") / len(splits) == pytest.approx(32 / 256, abs=0.01)


def test_sampling_is_deterministic_in_the_seed():
    for sample in (sample_harmless, sample_harmful):
        assert sample(random.Random(5)) == sample(random.Random(5))
        assert len({sample(random.Random(seed)) for seed in range(20)}) > 10


# What may not be said


def test_sexual_requests_are_about_people_at_work_who_are_adults():
    (category,) = [entry for entry in load("harmful") if entry["category"] == "sexual_content"]
    slots = {slot for act in category["acts"] for slot in re.findall(r"\{(?:a )?(\w+)\}", act)}
    assert slots == {"job"}
    assert not set(entities()["job"]) & {"student", "pupil", "apprentice"}


def test_plain_words_tell_of_no_harm():
    dangerous = (
        "kill kills wound poison drug weapon attack destroy steal hack bleed deadly hide secret passwords"
    )
    assert not set(dangerous.split()) & {*wording_words(), *fact_words()}
    assert len(wording_words()) > 100
    assert len(fact_words()) > 500


def test_wording_words_are_those_of_wordings_permissions_and_mentions():
    words = set(wording_words())
    assert {"how", "dear", "assistant", "actor", "yesterday"} <= words
    assert not words & {"decline", "safety", "act", "request"}  # of prohibitions alone; slots


@pytest.mark.parametrize("family", load("harmless"), ids=lambda family: family["family"])
def test_what_a_wording_names_is_in_the_verb_phrase(family):
    """So that a request without its wording can be answered."""
    named = {slot for ask in family.get("asks", []) for slot in re.findall(r"\{(?:a |A )?(\w+)", ask)}
    assert named - {"act"} <= set(re.findall(r"\{(?:a |A )?(\w+)", family["act"]))
