"""Judges by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steering_study.judges.declines import DeclinesJudge
from steering_study.judges.phrases import PhraseJudge
from steering_study.judges.verdicts import ClassifierSettings, Judge
from steering_study.store.names import nearest

EMBEDDED = ("phrases", "declines")  # need no model, and are always tested on labels
JUDGES = (*EMBEDDED, "llama_guard_2", "llama_guard_3", "wildguard", "harmbench", "minos", "strongreject")
KINDS = Path(__file__).parent / "kinds"  # a user's own judges, a file each


def own_judges() -> list[str]:
    """Names of the judges that a user has added."""
    return sorted(path.stem for path in KINDS.glob("[a-z]*.py"))


def check_judge(name: str) -> None:
    """Refuse a judge that there is not.

    Raises:
        ValueError: naming those that there are, and the nearest.
    """
    known = [*JUDGES, *own_judges()]
    if name not in known:
        raise ValueError(
            f"{name!r}, which is no judge{nearest(name, known)}; one of your own is a file {KINDS.name}/{name}.py "
            "(docs/judges.md)"
        )


def build_judge(
    name: str,
    *,
    phrases: Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    settings: ClassifierSettings | None = None,
) -> Judge:
    """Make the judge of that name; a classifier is loaded here.

    Args:
        name: one of `JUDGES`, or of a file of `KINDS`, whose function `build` makes it.
        phrases: what counts as a refusal, for the judge of that name.
        weights: of the features, for the judge `declines`.
        settings: which model to load and how, for all others.

    Raises:
        ValueError: if the name is unknown, what the judge needs is not given, or its model cannot be loaded.
    """
    try:
        check_judge(name)
    except ValueError as error:
        raise ValueError(f"judge is {error}") from None
    if name not in JUDGES:
        return _build_own(name)
    if name == "phrases":
        if phrases is None:
            raise ValueError("judge 'phrases' got no phrases; pass those of resources/refusal_phrases.yaml")
        return PhraseJudge(tuple(phrases))
    if name == "declines":
        if weights is None:
            raise ValueError("judge 'declines' got no weights; pass those of resources/judges/declines.csv")
        return DeclinesJudge(weights)
    if settings is None:
        raise ValueError(f"judge {name!r} got no settings; pass its model, dtype, device and threshold")
    # imported here: torch and transformers are needed by classifiers only
    from steering_study.judges.classifiers import CLASSIFIERS

    return CLASSIFIERS[name](settings)


def build_judges(
    names: Iterable[str],
    *,
    phrases: Sequence[str],
    weights: Mapping[str, float],
    classifiers: Mapping[str, Mapping[str, Any]],
) -> dict[str, Judge]:
    """Make each judge once, by its name.

    Args:
        phrases: what counts as a refusal, for the judge of that name.
        weights: of the features, for the judge `declines`.
        classifiers: entries of `judges.classifiers`; a classifier without one is its published checkpoint.
    """
    return {
        name: build_judge(name, phrases=phrases, weights=weights)
        if name in EMBEDDED
        else build_judge(name, settings=_settings(classifiers.get(name, {})) if name in JUDGES else None)
        for name in sorted(set(names))
    }


def _settings(options: Mapping[str, Any]) -> ClassifierSettings:
    """Settings of a classifier from its entry in the config."""
    from steering_study.models.loading import best_device

    return ClassifierSettings(
        model=options.get("source"),
        revision=options.get("revision"),
        dtype=options.get("dtype", "bfloat16"),
        device=best_device(),
        batch_size=options.get("batch_size", 8),
        threshold=options.get("threshold", 0.5),
        base_model=options.get("base_model"),
        base_revision=options.get("base_revision"),
    )


def _build_own(name: str) -> Judge:
    """The judge of a user's file.

    Raises:
        ValueError: if the file has no `build`, or makes something else than a judge of that name.
    """
    module = importlib.import_module(f"steering_study.judges.kinds.{name}")
    judge: Any = module.build() if hasattr(module, "build") else None
    if not isinstance(judge, Judge) or judge.name != name:
        raise ValueError(
            f"{KINDS.name}/{name}.py gives {judge!r}, expected a function build() that returns an object with "
            f"name = {name!r} and judge(prompts, responses) (docs/judges.md)"
        )
    return judge
