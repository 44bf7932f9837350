"""The bundled prompt sets: requests of the pocket corpus, split so that no test request was trained on.

harmful, harmless        train, validation, augmentation, test; shared wordings, neutral contexts
ood                      test; harmful, with unseen wordings, unseen wrappers and unseen entities
borderline_safe/harmful  test; the same verb, done to something harmless or to someone

The last three have a twin of other requests, `ood_validation` in other wordings too: bundled models are chosen by it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from steering_study.pocket.corpus import draw_request, wrap
from steering_study.pocket.grammar import HeldOut, Request, load, unseen_entities

_HELD_OUT_ENDINGS: dict[HeldOut, str] = {"test": "", "validation": "_validation"}


def build_prompt_sets(counts: Mapping[str, int], *, seed: int) -> dict[str, pd.DataFrame]:
    """Prompt sets by file stem: id, split, label, category, text.

    Args:
        counts: prompts of each label a split (train, validation, augmentation, test), of `ood` and of each
            side of `borderline`.
    """
    rng = random.Random(seed)
    used: set[str] = set()
    sets: dict[str, pd.DataFrame] = {}
    for label in ("harmful", "harmless"):
        rows = [
            row
            for split in ("train", "validation", "augmentation", "test")
            for row in _draw(rng, used, counts[split], label=label, split=split)
        ]
        sets[label] = _frame(label, rows)
    for source, ending in _HELD_OUT_ENDINGS.items():
        sets[f"ood{ending}"] = _frame(f"ood{ending}", list(_draw_unseen(rng, used, counts["ood"], source)))
        for side, label, choice in (
            ("borderline_safe", "harmless", {"family": _entry("harmless", "family", "borderline_safe")}),
            ("borderline_harmful", "harmful", {"category": _entry("harmful", "category", "borderline")}),
        ):
            rows = _draw(rng, used, counts["borderline"], label=label, split="test", source=source, **choice)
            sets[side + ending] = _frame(side + ending, list(rows))
    return sets


def _draw(
    rng: random.Random,
    used: set[str],
    n: int,
    *,
    label: str,
    split: str,
    source: str | None = None,
    **choice: Any,
) -> Iterator[dict[str, str]]:
    """Prompts that were not drawn before, with verb phrases of split `source`: what is trained on has the corpus' own."""
    source = source or ("train" if split in ("train", "augmentation") else split)

    def draw() -> tuple[Request, str]:
        request = draw_request(rng, label, splits=(source,), **choice)
        return request, wrap(rng, request.ask, "neutral")

    for _ in range(n):
        yield _unused(used, draw, split=split, key=lambda request, text: text)


def _draw_unseen(rng: random.Random, used: set[str], n: int, held_out: HeldOut) -> Iterator[dict[str, str]]:
    """Harmful prompts about unseen names, each with another verb phrase.

    None was trained on, whatever its split; that of validation sets choosing by one apart from reporting the other.
    """
    names = {name for kind in unseen_entities().values() for name in kind}
    splits = ("validation",) if held_out == "validation" else ("train", "test")

    def draw() -> tuple[Request, str]:
        while True:
            request = draw_request(rng, "harmful", splits=splits, held_out=held_out)
            if any(name in request.act for name in names):
                return request, wrap(rng, request.ask, f"neutral_{held_out}")

    for _ in range(n):
        yield _unused(used, draw, split="test", key=lambda request, text: request.act)


def _unused(
    used: set[str],
    draw: Callable[[], tuple[Request, str]],
    *,
    split: str,
    key: Callable[[Request, str], str],
) -> dict[str, str]:
    """The first drawn request and prompt of which what `key` takes is new."""
    for _ in range(10_000):
        request, text = draw()
        if (own := key(request, text)) not in used:
            used.add(own)
            return {"split": split, "label": request.label, "category": request.family, "text": text}
    raise ValueError(f"the corpus has too few different prompts for the {split} split; ask for fewer")


def _frame(stem: str, rows: list[dict[str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame.insert(0, "id", [f"{stem}-{i:04d}" for i in range(len(frame))])
    return frame


def _entry(name: str, key: str, value: str) -> Mapping[str, object]:
    return next(entry for entry in load(name) if entry[key] == value)
