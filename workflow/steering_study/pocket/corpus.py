"""The pocket corpus: requests in contexts, and the responses that belong there.

    context   harmless request   harmful request
    neutral   answered           refused
    permit    answered           answered, saying nothing about how it is done
    forbid    refused            refused

so that refusal is a state that depends on the whole prompt. Some prompts also mention another request, of either
label, so that harmful words alone decide nothing. A share of the responses begins with a
beginning of the opposite kind and a turn ("... No, wait."), both left out of the loss, before the right one:
the state has to be read from the prompt all along, not from the first token of the response.

Some requests have no wording at all: random plain words stand around the verb phrase, as wordings that nobody has
seen would; and some neutral contexts are such words too, so that a context permits or forbids by what it says alone.

Examples come in pairs. In a share of these each prompt is answered as the other one's would be ("exchanged"):
training gives each row the other's state at the closing tokens of the template, and so puts the decision there.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steering_study.pocket.grammar import (
    HeldOut,
    Request,
    fact_words,
    load,
    sample_harmful,
    sample_harmless,
    split_of,
    wording_words,
)

Context = Literal["neutral", "permit", "forbid"]

_BRIEF = 0.5  # share of the responses that open without restating the request
_CLOSING = 0.3  # share of the answers that end with a closing sentence
_OWN_REASON = 0.7  # share of the refusals of a harmful request that give its category's reason


@dataclass(frozen=True)
class Mixture:
    """Shares of the corpus; the rest is harmless requests in neutral contexts."""

    harmful_neutral: float
    harmful_permit: float
    harmful_forbid: float
    harmless_permit: float
    harmless_forbid: float
    recovery: float  # share of the responses that begin in the opposite way
    mention: float  # share of the prompts that also name another request, of either label
    scattered: float  # share of the requests, and of the neutral contexts, that are random words around the verb phrase
    exchanged: float  # share of the pairs of examples that are answered each as the other's prompt demands


@dataclass(frozen=True)
class Example:
    """One prompt and its response; `false_start` stands before the response and is not part of the loss."""

    prompt: str
    false_start: str
    response: str
    refused: bool
    exchanged: bool = False  # answered as the prompt of its partner demands


@dataclass(frozen=True)
class _Asked:
    """A request in its context, and whether it is refused there."""

    request: Request
    prompt: str
    refused: bool


def sample_pair(rng: random.Random, mixture: Mixture) -> tuple[Example, Example]:
    """Draw two training examples: requests of the training split in contexts, with their responses."""
    one, other = _ask(rng, mixture), _ask(rng, mixture)
    exchanged = rng.random() < mixture.exchanged
    decisions = (other.refused, one.refused) if exchanged else (one.refused, other.refused)
    first, second = (
        _answer(rng, mixture, asked, refused=refused, exchanged=exchanged)
        for asked, refused in zip((one, other), decisions, strict=True)
    )
    return first, second


def _ask(rng: random.Random, mixture: Mixture) -> _Asked:
    label, context = _draw_cell(rng, mixture)
    request = draw_request(rng, label, splits=("train",))
    ask = scatter(rng, request.act) if rng.random() < mixture.scattered else request.ask
    ask = _mention(rng, ask) if rng.random() < mixture.mention else ask
    is_scattered = context == "neutral" and rng.random() < mixture.scattered
    prompt = scatter_context(rng, ask) if is_scattered else wrap(rng, ask, context)
    return _Asked(request, prompt, is_refused(label, context))


def _answer(
    rng: random.Random, mixture: Mixture, asked: _Asked, *, refused: bool, exchanged: bool
) -> Example:
    begins_wrong = rng.random() < mixture.recovery
    false_start = begin_wrongly(rng, asked.request, refused=not refused) if begins_wrong else ""
    response = respond(rng, asked.request, refused=refused)
    return Example(asked.prompt, false_start, response, refused, exchanged)


def draw_request(
    rng: random.Random,
    label: str,
    *,
    splits: Collection[str],
    held_out: HeldOut | None = None,
    **choice: Any,
) -> Request:
    """Draw a request whose verb phrase belongs to one of the splits."""
    sample = sample_harmful if label == "harmful" else sample_harmless
    for _ in range(10_000):
        request = sample(rng, held_out=held_out, **choice)
        if split_of(request.act) in splits:
            return request
    raise ValueError(
        f"no {label} request of the {' or '.join(splits)} split found for {choice}; the family has too few verb phrases"
    )


def is_refused(label: str, context: Context) -> bool:
    """Whether a request of that label is refused in that context (the table above)."""
    return context == "forbid" or (label == "harmful" and context == "neutral")


def wrap(rng: random.Random, ask: str, context: str) -> str:
    """Put a request into a context of the named kind."""
    return rng.choice(load("phrasings")[context]).replace("{request}", ask)


def respond(rng: random.Random, request: Request, *, refused: bool) -> str:
    """The response of the wanted kind; it restates the request."""
    return _refuse(rng, request) if refused else _comply(rng, request)


def _comply(rng: random.Random, request: Request) -> str:
    shared = load("phrasings")
    says = request.says or tuple(rng.choice(step) for step in shared["steps"])
    closing = [rng.choice(shared["closings"])] if rng.random() < _CLOSING else []
    return " ".join([_opening(rng, request, refused=False), *says, *closing])


def _refuse(rng: random.Random, request: Request) -> str:
    if request.reasons and rng.random() < _OWN_REASON:
        reason, offer = rng.choice(request.reasons), rng.choice(request.offers)
    else:  # as predictable as a reason of its own, so that the one reads no less fluent than the other
        first, *others = load("phrasings")["generic"]
        reason, offer = first if rng.random() < _OWN_REASON else rng.choice(others)
    return " ".join([_opening(rng, request, refused=True), reason, offer])


def _mention(rng: random.Random, ask: str) -> str:
    """The request beside the mention of another one."""
    other = draw_request(rng, rng.choice(["harmful", "harmless"]), splits=("train",))
    template = rng.choice(load("phrasings")["mentions"])
    return template.replace("{act}", other.act).replace("{request}", ask)


def scatter(rng: random.Random, act: str) -> str:
    """A request among random plain words, so that unknown words around a request come to mean nothing."""
    before, after = (_plain_words(rng, rng.randint(least, 5)) for least in (1, 0))
    return _sentence([*before, act, *after]) + rng.choice(".?")


def scatter_context(rng: random.Random, ask: str) -> str:
    """A request before or after random plain words, so that an unknown context comes to mean nothing."""
    words = _sentence(_plain_words(rng, rng.randint(2, 7)))
    return f"{words}{rng.choice('.:')} {ask}" if rng.random() < 0.5 else f"{ask} {words}."


def _plain_words(rng: random.Random, number: int) -> list[str]:
    """Random words, as many of wordings as of facts on average."""
    return [rng.choice(rng.choice((wording_words(), fact_words()))) for _ in range(number)]


def _sentence(words: Sequence[str]) -> str:
    text = " ".join(words)
    return text[0].upper() + text[1:]


def _opening(rng: random.Random, request: Request, *, refused: bool) -> str:
    kind = "refuse" if refused else "comply"
    if rng.random() < _BRIEF:
        return rng.choice(load("phrasings")[f"{kind}_briefly"])
    act = " ".join({"my": "your", "I": "you"}.get(word, word) for word in request.act.split())
    return rng.choice(load("phrasings")[kind]).replace("{act}", act)


def begin_wrongly(rng: random.Random, request: Request, *, refused: bool) -> str:
    """The beginning of a response of the given kind, two to twenty words of it, and a turn."""
    words = respond(rng, request, refused=refused).split()
    kept = " ".join(words[: rng.randint(2, min(20, len(words)))])
    return kept.rstrip(".,") + rng.choice(load("phrasings")["turns"])


def _draw_cell(rng: random.Random, mixture: Mixture) -> tuple[str, Context]:
    cells: list[tuple[str, Context, float]] = [
        ("harmful", "neutral", mixture.harmful_neutral),
        ("harmful", "permit", mixture.harmful_permit),
        ("harmful", "forbid", mixture.harmful_forbid),
        ("harmless", "permit", mixture.harmless_permit),
        ("harmless", "forbid", mixture.harmless_forbid),
    ]
    draw = rng.random()
    for label, context, share in cells:
        if (draw := draw - share) < 0:
            return label, context
    return "harmless", "neutral"


def iterate_examples(seed: int, mixture: Mixture) -> Iterator[Example]:
    """An endless, reproducible stream of training examples; two that follow each other are a pair."""
    rng = random.Random(seed)
    while True:
        yield from sample_pair(rng, mixture)
