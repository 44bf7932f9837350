"""Requests of the pocket corpus: families and entities are data (`data/*.yaml`), this is the grammar.

A request is a verb phrase (`act`), a wording of it (`ask`) and, if it is harmless, the sentences of its
answer. Slots are written {class}, {a class} (with its article), {class.fact}, {class2} (another one).
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

DATA = Path(__file__).parent / "data"
Label = Literal["harmful", "harmless"]
HeldOut = Literal["validation", "test"]  # wordings that no training request has
_SLOT = re.compile(r"\{(a |A )?([a-z_]+?)(\d?)(?:\.([a-z]+))?\}")
_BARE_CLASSES = {"malware", "drug", "poison"}  # without an article, or with one in the name
_N_VALIDATION, _N_TEST = 20, 32  # of 256 buckets of verb phrases: 8 and 12 %
_DANGEROUS = {
    "weapon",
    "malware",
    "drug",
    "poison",
    "harmful_thing",
    "illness",
}  # facts about these tell of harm


@dataclass(frozen=True)
class Request:
    """One thing that a user asks for.

    `says` holds the sentences of a harmless answer; `reasons` and `offers` the alternatives of a refusal
    (empty: the generic ones serve).
    """

    label: Label
    family: str
    act: str
    ask: str
    says: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()


@cache
def load(name: str) -> Any:
    """One of the data files."""
    return yaml.safe_load((DATA / f"{name}.yaml").read_text("utf-8"))


@cache
def entities() -> dict[str, dict[str, dict[str, str]]]:
    """Class -> name -> facts, the unseen names included; `person` and `harmful_thing` are unions."""
    table: dict[str, dict[str, dict[str, str]]] = {}
    for kind, entry in load("entities").items():
        items = entry["items"] if isinstance(entry["items"], dict) else dict.fromkeys(entry["items"], "")
        facts = {
            name: [part.strip() for part in text.split(";")] if text else [] for name, text in items.items()
        }
        for name, values in facts.items():
            if len(values) != len(entry["fields"]):
                raise ValueError(
                    f"entities.yaml: {kind} {name!r} has facts {values}, expected {entry['fields']}"
                )
        table[kind] = {
            name: dict(zip(entry["fields"], values, strict=True)) for name, values in facts.items()
        }
    table["person"] = {name: {} for kind in ("job", "relation") for name in table[kind]}
    table["harmful_thing"] = {
        with_article(kind, name): facts
        for kind in ("weapon", "malware", "drug", "poison")
        for name, facts in table[kind].items()
    }
    return table


@cache
def unseen_entities() -> dict[str, tuple[str, ...]]:
    """Class -> names that no harmful request of the training corpus holds."""
    unseen = {kind: tuple(entry.get("unseen", ())) for kind, entry in load("entities").items()}
    unseen["person"] = unseen["job"] + unseen["relation"]
    return unseen


def with_article(kind: str, name: str) -> str:
    """The name with "a" or "an"; mass nouns stay bare."""
    if kind in _BARE_CLASSES:
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def fill(
    template: str, bound: dict[str, str], *, rng: random.Random, pools: Mapping[str, Sequence[str]]
) -> str:
    """Fill the slots of a template; `bound` keeps the choices, so that later templates agree with it."""

    def replace(match: re.Match[str]) -> str:
        article, kind, number, fact = match.groups()
        slot = f"{kind}{number}"
        if slot not in bound:
            taken = {name for other, name in bound.items() if other.rstrip("0123456789") == kind}
            bound[slot] = rng.choice([name for name in pools[kind] if name not in taken])
        name = bound[slot]
        if fact:
            return entities()[kind][name][fact]
        if article:
            phrase = with_article(kind, name)
            return phrase[0].upper() + phrase[1:] if article == "A " else phrase
        return name

    return _SLOT.sub(replace, template)


@cache
def pools(kind: Literal["all", "seen", "unseen"]) -> dict[str, tuple[str, ...]]:
    """Names to choose from, per class; "unseen" takes the unseen names where a class has any."""
    chosen: dict[str, tuple[str, ...]] = {}
    for name, items in entities().items():
        held_out = unseen_entities().get(name, ())
        seen = tuple(item for item in items if item not in held_out)
        chosen[name] = {"all": tuple(items), "seen": seen, "unseen": held_out or seen}[kind]
    frames = load("borderline")
    chosen["safe_use"] = tuple(f"{frame['verb']} {use}" for frame in frames for use in frame["safe"])
    chosen["harmful_use"] = tuple(f"{frame['verb']} {frame['harmful']}" for frame in frames)
    return chosen


def sample_harmless(
    rng: random.Random, *, family: Mapping[str, Any] | None = None, held_out: HeldOut | None = None
) -> Request:
    """Draw a harmless request with its answer; `held_out` takes held-out wordings."""
    family = family or _weighted(rng, "harmless")
    bound, names = _numbers(rng), pools("all")
    act = fill(family["act"], bound, rng=rng, pools=names)
    says = [rng.choice(part) if isinstance(part, list) else part for part in family["says"]]
    answer = tuple(fill(part, bound, rng=rng, pools=names) for part in says)
    wording = rng.choice(family.get("asks") or shared_asks(held_out))
    ask = fill(wording.replace("{act}", act), bound, rng=rng, pools=names)
    return Request("harmless", family["family"], act, ask, says=answer)


def sample_harmful(
    rng: random.Random, *, category: Mapping[str, Any] | None = None, held_out: HeldOut | None = None
) -> Request:
    """Draw a harmful request; `held_out` takes unseen names and held-out wordings."""
    category = category or _weighted(rng, "harmful")
    bound: dict[str, str] = {}
    names = pools("unseen" if held_out else "seen")
    act = fill(fill(rng.choice(category["acts"]), bound, rng=rng, pools=names), bound, rng=rng, pools=names)
    ask = rng.choice(shared_asks(held_out)).replace("{act}", act)
    reasons, offers = tuple(category["reasons"]), tuple(category["offers"])
    return Request("harmful", category["category"], act, ask, reasons=reasons, offers=offers)


def _weighted(rng: random.Random, name: str) -> Mapping[str, Any]:
    """A family or category, drawn by its weight (1 unless it says otherwise)."""
    entries = load(name)
    return rng.choices(entries, [entry.get("weight", 1) for entry in entries])[0]


def shared_asks(held_out: HeldOut | None) -> list[str]:
    """Wordings that harmless and harmful requests share."""
    return load("phrasings")[f"asks_{held_out}" if held_out else "asks"]


@cache
def wording_words() -> tuple[str, ...]:
    """Words of wordings, neutral contexts, permissions, mentions and the first steps of answers, but no word of a harmful act.

    Words of permissions are among them because no single one of them permits anything.
    """
    phrasings = load("phrasings")
    kinds = ("asks", "neutral", "permit", "mentions")
    return _harmless_words([*phrasings["steps"][0], *(text for kind in kinds for text in phrasings[kind])])


@cache
def fact_words() -> tuple[str, ...]:
    """Words of the facts about ordinary things, but no word of a harmful act."""
    ordinary = (items for kind, items in entities().items() if kind not in _DANGEROUS)
    return _harmless_words(
        [fact for items in ordinary for facts in items.values() for fact in facts.values()]
    )


def _harmless_words(texts: Iterable[str]) -> tuple[str, ...]:
    """Words of texts without those, longer than three letters, of harmful acts; what fills their slots may be among them."""
    acts = [*(act for category in load("harmful") for act in category["acts"]), *pools("all")["harmful_use"]]
    dangerous = {word for act in acts for word in _words(act) if len(word) > 3}
    return tuple(sorted({word for text in texts for word in _words(text)} - dangerous))


def _words(template: str) -> list[str]:
    """Lower-case words of a template outside its slots."""
    return re.findall(r"[a-z]+", re.sub(r"\{[^}]*\}", " ", template).lower())


def split_of(act: str) -> Literal["train", "validation", "test"]:
    """Split of a verb phrase, from its hash: the phrase is in one split only, whatever its wording."""
    bucket = hashlib.sha256(act.encode()).digest()[0]
    if bucket < _N_VALIDATION:
        return "validation"
    return "test" if bucket < _N_VALIDATION + _N_TEST else "train"


def _numbers(rng: random.Random) -> dict[str, str]:
    n, n2 = rng.sample(range(2, 10), 2)  # few enough that a small model can learn the sums of unseen pairs
    m = n + n2
    values = {"n": n, "n2": n2, "m": m, "sum": n + n2, "difference": m - n2, "larger": max(n, n2)}
    return {name: str(value) for name, value in values.items()}
