"""Judges by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from steering_study.judges.phrases import PhraseJudge
from steering_study.judges.verdicts import ClassifierSettings, Judge

JUDGES = ("phrases", "llama_guard_2", "llama_guard_3", "wildguard", "harmbench", "minos", "strongreject")


def build_judge(
    name: str,
    *,
    phrases: Sequence[str] | None = None,
    settings: ClassifierSettings | None = None,
) -> Judge:
    """Make the judge of that name; a classifier is loaded here.

    Args:
        name: one of `JUDGES`.
        phrases: what counts as a refusal, for the judge of that name.
        settings: which model to load and how, for all others.

    Raises:
        ValueError: if the name is unknown, what the judge needs is not given, or its model cannot be loaded.
    """
    if name not in JUDGES:
        nearest = difflib.get_close_matches(name, JUDGES, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"judge={name!r} is unknown; expected one of {', '.join(JUDGES)}; nearest: {nearest}"
        )
    if name == "phrases":
        if phrases is None:
            raise ValueError("judge 'phrases' got no phrases; pass those of resources/refusal_phrases.yaml")
        return PhraseJudge(tuple(phrases))
    if settings is None:
        raise ValueError(f"judge {name!r} got no settings; pass its model, dtype, device and threshold")
    # imported here: torch and transformers are needed by classifiers only
    from steering_study.judges.classifiers import CLASSIFIERS

    return CLASSIFIERS[name](settings)


def build_judges(
    names: Iterable[str], *, phrases: Sequence[str], classifiers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Judge]:
    """Make each judge once, by its name.

    Args:
        phrases: what counts as a refusal, for the judge of that name.
        classifiers: entries of `judges.classifiers`; a classifier without one is its published checkpoint.
    """
    return {
        name: build_judge(name, phrases=phrases)
        if name == "phrases"
        else build_judge(name, settings=_settings(classifiers.get(name, {})))
        for name in sorted(set(names))
    }


def _settings(options: Mapping[str, Any]) -> ClassifierSettings:
    """Settings of a classifier from its entry in the config."""
    from steering_study.models import best_device  # loads torch, which phrases do without

    return ClassifierSettings(
        model=options.get("source"),
        revision=options.get("revision"),
        dtype=options.get("dtype", "bfloat16"),
        device=best_device(),
        batch_size=options.get("batch_size", 8),
        threshold=options.get("threshold", 0.5),
    )
