"""The pocket corpus: who is answered, what a permitted answer says, how the cells are mixed."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace

import pytest

from steering_study.pocket import corpus as corpus_module
from steering_study.pocket.corpus import (
    Mixture,
    draw_request,
    is_refused,
    iterate_examples,
    respond,
    sample_pair,
    scatter,
    scatter_context,
    wrap,
)
from steering_study.pocket.grammar import Request, fact_words, load, split_of, wording_words

TOLERANCE = 0.015  # four standard deviations of a share of 20,000
PHRASINGS = load("phrasings")
FIRST_WORDS = {
    kind: {text.split()[0] for text in [*PHRASINGS[kind], *PHRASINGS[f"{kind}_briefly"]]}
    for kind in ("comply", "refuse")
}


def share(flags) -> float:
    flags = list(flags)
    return sum(flags) / len(flags)


def opening_of(text: str) -> str:
    """Whether a text opens as an answer or as a refusal."""
    kinds = [kind for kind, words in FIRST_WORDS.items() if text.split()[0] in words]
    assert len(kinds) == 1, text
    return kinds[0]


def without_turn(false_start: str) -> str:
    """The false start without the words that end it."""
    (turn,) = [turn for turn in PHRASINGS["turns"] if false_start.endswith(turn)]
    return false_start.removesuffix(turn)


def split_sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?]) ", text)


@pytest.mark.parametrize(
    ("label", "context", "refused"),
    [
        ("harmless", "neutral", False),
        ("harmful", "neutral", True),
        ("harmless", "permit", False),
        ("harmful", "permit", False),
        ("harmless", "forbid", True),
        ("harmful", "forbid", True),
    ],
)
def test_refusal_depends_on_label_and_context(label, context, refused):
    assert is_refused(label, context) is refused


@pytest.mark.parametrize("context", ["neutral", "neutral_validation", "neutral_test", "permit", "forbid"])
def test_every_context_holds_the_whole_request(context):
    assert all(
        "How do I do it?" in wrap(random.Random(seed), "How do I do it?", context) for seed in range(40)
    )


# The mixture


def test_labels_are_mixed_as_configured(stream, mixture):
    harmful = mixture.harmful_neutral + mixture.harmful_permit + mixture.harmful_forbid
    assert share(r.label == "harmful" for r, _ in stream) == pytest.approx(harmful, abs=TOLERANCE)


def test_refusals_are_mixed_as_configured(stream, mixture):
    cells = {
        ("harmful", True): mixture.harmful_neutral + mixture.harmful_forbid,
        ("harmful", False): mixture.harmful_permit,
        ("harmless", True): mixture.harmless_forbid,
    }
    for cell, expected in cells.items():
        found = share((r.label, e.refused) == cell for r, e in stream if not e.exchanged)
        assert found == pytest.approx(expected, abs=TOLERANCE)


def test_exchanged_pairs_are_mixed_as_configured_and_stand_side_by_side(stream, mixture):
    flags = [example.exchanged for _, example in stream]
    assert flags[::2] == flags[1::2]
    assert share(flags) == pytest.approx(mixture.exchanged, abs=2 * TOLERANCE)


def test_false_starts_are_mixed_as_configured(stream, mixture):
    assert share(bool(e.false_start) for _, e in stream) == pytest.approx(mixture.recovery, abs=TOLERANCE)


def test_mentions_are_mixed_as_configured(stream, mixture):
    beside = [
        template.split("{")[0] or template.split("}")[1].split("{")[0] for template in PHRASINGS["mentions"]
    ]
    found = share(any(words.strip() in example.prompt for words in beside) for _, example in stream)
    assert found == pytest.approx(mixture.mention, abs=TOLERANCE)


def test_scattered_requests_are_mixed_as_configured_and_have_no_wording(stream, mixture):
    def has_wording(request: Request, prompt: str) -> bool:
        return request.ask in prompt

    found = share(not has_wording(request, example.prompt) for request, example in stream)
    assert found == pytest.approx(mixture.scattered, abs=TOLERANCE)
    assert all(request.act in example.prompt or request.ask in example.prompt for request, example in stream)


def test_words_around_a_scattered_request_are_plain():
    act = "rob a bank with my friend"
    for seed in range(50):
        text = scatter(random.Random(seed), act)
        assert text[0].isupper()
        assert text[-1] in ".?"
        words = text[:-1].lower().replace(act, "").split()
        assert 1 <= len(words) <= 10
        assert set(words) <= {*wording_words(), *fact_words()}


def test_scattered_contexts_are_plain_words_around_requests_in_neutral_contexts_alone():
    neutral = Mixture(
        0.5, 0.0, 0.0, 0.0, harmless_forbid=0.0, recovery=0.0, mention=0.0, scattered=1.0, exchanged=0.0
    )
    fixed = [part for text in PHRASINGS["neutral"] if (part := text.replace("{request}", "").strip())]
    for seed in range(20):
        for example in sample_pair(random.Random(seed), neutral):
            assert not any(example.prompt.startswith(part) or example.prompt.endswith(part) for part in fixed)
    bound = replace(neutral, harmful_neutral=0.0, harmless_forbid=1.0)
    forbid = [text.replace("{request}", "").strip() for text in PHRASINGS["forbid"]]
    for seed in range(20):
        for example in sample_pair(random.Random(seed), bound):
            assert any(text in example.prompt for text in forbid)


def test_words_of_a_scattered_context_are_plain_and_leave_the_request_whole():
    ask = "How do I do it?"
    sides = set()
    for seed in range(50):
        text = scatter_context(random.Random(seed), ask)
        before, after = text.split(ask)
        sides.add(bool(before))
        words = (before + after).lower().strip(" .:").split()
        assert 2 <= len(words) <= 7
        assert set(words) <= {*wording_words(), *fact_words()}
    assert sides == {True, False}


def test_mixture_of_one_cell_gives_that_cell():
    only = Mixture(
        0.0, 0.0, 0.0, 0.0, harmless_forbid=1.0, recovery=0.0, mention=0.0, scattered=0.0, exchanged=0.0
    )
    for seed in range(20):
        for example in sample_pair(random.Random(seed), only):
            assert example.refused
            assert not example.false_start


def test_exchanged_examples_are_answered_as_their_partners_prompt_demands():
    half = Mixture(0.5, 0.0, 0.0, 0.0, 0.0, recovery=0.3, mention=0.0, scattered=0.0, exchanged=1.0)
    alone = replace(half, exchanged=0.0)
    for seed in range(20):
        pair = sample_pair(random.Random(seed), half)
        plain = sample_pair(random.Random(seed), alone)
        assert [example.prompt for example in pair] == [example.prompt for example in plain]
        assert [example.refused for example in pair] == [example.refused for example in plain][::-1]
        assert all(opening_of(e.response) == ("refuse" if e.refused else "comply") for e in pair)


# Responses


def test_response_opens_as_it_should_and_the_false_start_as_it_should_not(stream):
    for _, example in stream[:2000]:
        right, wrong = ("refuse", "comply") if example.refused else ("comply", "refuse")
        assert opening_of(example.response) == right
        if example.false_start:
            assert opening_of(without_turn(example.false_start)) == wrong


@pytest.mark.parametrize("kind", ["comply", "refuse"])
def test_half_of_the_responses_do_not_restate_the_request(stream, kind):
    responses = [example.response for _, example in stream if example.refused == (kind == "refuse")]
    brief = tuple(PHRASINGS[f"{kind}_briefly"])
    assert share(text.startswith(brief) for text in responses) == pytest.approx(0.5, abs=2 * TOLERANCE)


def content_of(text: str, act: str) -> str:
    """What an answer says after its opening; nothing if it ends within."""
    act = " ".join({"my": "your", "I": "you"}.get(word, word) for word in act.split())
    templates = [*PHRASINGS["comply"], *PHRASINGS["comply_briefly"]]
    openings = [template.replace("{act}", act) for template in templates]
    if any(opening.startswith(text) for opening in openings):
        return ""
    (opening,) = [opening for opening in openings if text.startswith(opening)]
    return text.removeprefix(opening).strip()


EMPTY = {step for steps in PHRASINGS["steps"] for step in steps} | set(PHRASINGS["closings"])


def test_permitted_answer_to_a_harmful_request_says_nothing_about_it(stream):
    permitted = [(r, e) for r, e in stream if r.label == "harmful" and not e.refused]
    assert len(permitted) > 1000
    for request, example in permitted:
        assert set(split_sentences(content_of(example.response, request.act))) <= EMPTY


def test_broken_off_answer_to_a_harmful_request_says_nothing_about_it(stream):
    broken = [(r, e) for r, e in stream if r.label == "harmful" and e.refused and e.false_start]
    assert len(broken) > 1000
    for request, example in broken:
        said = content_of(without_turn(example.false_start), request.act)
        *whole, last = split_sentences(said)
        assert set(whole) <= EMPTY
        assert any(sentence.startswith(last) for sentence in EMPTY)


def test_steps_and_closings_name_no_entity():
    sentences = [*itertools.chain(*PHRASINGS["steps"]), *PHRASINGS["closings"]]
    assert not [text for text in sentences if "{" in text]


def test_answer_to_a_harmless_request_holds_its_facts(stream):
    for request, example in stream[:2000]:
        if request.label == "harmless" and not example.refused:
            assert all(sentence in example.response for sentence in request.says)


def test_refusal_gives_no_sentence_of_the_answer(stream):
    refused = [(request, example) for request, example in stream if example.refused and request.says]
    assert len(refused) > 1000
    for request, example in refused:
        assert not [sentence for sentence in request.says if sentence in example.response]


def test_response_speaks_to_the_user():
    rng = random.Random(0)
    request = draw_request(rng, "harmless", splits=("train",))
    for mine, yours in (("my", "your"), ("I", "you")):
        while mine not in request.act.split():
            request = draw_request(rng, "harmless", splits=("train",))
        told = request.act.split()[request.act.split().index(mine) - 1 :][:2]
        for refused in (True, False):
            responses = [respond(rng, request, refused=refused) for _ in range(20)]
            assert not [text for text in responses if " ".join(told) in text]
            assert [text for text in responses if f"{told[0]} {yours}" in text]


def test_refusal_gives_a_reason_of_its_category_or_a_generic_one(stream):
    generic = {" ".join(pair) for pair in PHRASINGS["generic"]}
    refused = [(request, example) for request, example in stream[:5000] if example.refused]
    for request, example in refused:
        own = {" ".join(pair) for pair in itertools.product(request.reasons, request.offers)}
        assert example.response.endswith(tuple(generic | own))
    given = [
        example.response.endswith(tuple(request.reasons + request.offers))
        for request, example in refused
        if request.label == "harmful"
    ]
    assert share(given) == pytest.approx(0.7, abs=0.06)


# Splits and seeds


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("label", ["harmful", "harmless"])
def test_drawn_request_belongs_to_the_split(label, split):
    rng = random.Random(0)
    assert {split_of(draw_request(rng, label, splits=(split,)).act) for _ in range(15)} == {split}


def test_family_without_a_verb_phrase_in_the_split_is_named(monkeypatch):
    same = Request("harmless", "list_animals", "list three animals", "List three animals.")
    monkeypatch.setattr(corpus_module, "sample_harmless", lambda rng, *, held_out: same)
    other = "train" if split_of(same.act) != "train" else "test"
    with pytest.raises(ValueError, match=f"no harmless request of the {other} split .*too few verb phrases"):
        draw_request(random.Random(0), "harmless", splits=(other,))


def test_stream_is_deterministic_in_the_seed(mixture):
    def first(seed: int) -> list:
        return list(itertools.islice(iterate_examples(seed, mixture), 50))

    assert first(3) == first(3)
    assert first(3) != first(4)
