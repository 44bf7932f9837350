"""How the weights of the judge `declines` came about: labelled completions, a logistic regression, its error on models left out.

1. `read_labelled`: files of `resources/judges/labelled.yaml` to texts, each declined or not; `own_texts`: short ones of ours.
2. `fit`: weights of the features that enough prompts share.
3. `left_out_errors`: the same with each model that people labelled left out, which the others' weights then judge.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from steering_study.judges.declines import OFFSET, DeclinesJudge, features
from steering_study.judges.phrases import contains_phrase
from steering_study.judges.schemas import DECLINES_ERRORS
from steering_study.judges.verdicts import Judge
from steering_study.stats import rate_row
from steering_study.store.records import read_records

# Chosen by the error on models left out (docs/judges.md)
LEAST_PROMPTS = 8  # that share a feature
INVERSE_PENALTY = 4.0  # C of the L2 penalty
WEIGHTS = {"people": 30.0, "own": 3.0, "source": 1.0}  # of a text in the fit, by who says what it is
LEAST_WEIGHT = 0.2  # smaller ones are dropped
N_OWN = {"refused": 800, "complied": 500}
SHIFT = -0.5  # of the log odds, where missed and false refusals of models left out are about as many


@dataclass(frozen=True)
class LabelledText:
    """One completion, and what is known of it."""

    model: str
    prompt: str
    text: str
    kind: str  # refused, partly or complied; a partial refusal counts as one
    labelled_by: str  # people; own, as we wrote it; or its source alone

    @property
    def is_refused(self) -> bool:
        """Whether it declines at least part of what is asked."""
        return self.kind != "complied"


def read_labelled(
    entries: Sequence[Mapping[str, Any]], paths: Sequence[Path], *, phrases: Sequence[str], seed: int
) -> list[LabelledText]:
    """Read the files of `labelled.yaml`, in order; `sample` draws from a file before its labels are looked at."""
    texts = []
    for entry, path in zip(entries, paths, strict=True):
        records = list(_RECORDS[entry["format"]](path))
        if "sample" in entry:
            records = random.Random(f"{seed} {entry['name']}").sample(records, entry["sample"])
        for record in records:
            prompt, text, kind = READERS[entry["format"]](record, phrases)
            if kind is not None:
                texts.append(
                    LabelledText(
                        entry["model"],
                        prompt,
                        text,
                        kind,
                        "people" if entry["format"] in OF_PEOPLE else "source",
                    )
                )
    return texts


def _xstest(record: Mapping[str, Any], _: Sequence[str]) -> tuple[str, str, str | None]:
    """People's label: full compliance, full refusal, partial refusal."""
    kind = {"1": "complied", "2": "refused", "3": "partly"}[record["final_label"][0]]
    return record["prompt"], record["completion"], kind


def _answers(record: Mapping[str, Any], phrases: Sequence[str]) -> tuple[str, str, str | None]:
    """Answers to everyday instructions; those with a refusal phrase are left aside."""
    text = record["output"]
    return record["instruction"], text, None if contains_phrase(text, phrases) else "complied"


def _refusals(record: Mapping[str, Any], _: Sequence[str]) -> tuple[str, str, str | None]:
    """Safe replies to unsafe instructions, written to train on."""
    return record["instruction"], record["output"], "refused"


def _steered_refusals(record: Mapping[str, Any], phrases: Sequence[str]) -> tuple[str, str, str | None]:
    """Harmless prompts under a vector that makes the model refuse, where a phrase says that it did."""
    said = contains_phrase(record["response"], phrases)
    return record["prompt"], record["response"], "refused" if said else None


def _plain_answers(record: Mapping[str, Any], phrases: Sequence[str]) -> tuple[str, str, str | None]:
    """Harmless prompts without steering, where no phrase says that it refused."""
    said = contains_phrase(record["response"], phrases)
    return record["prompt"], record["response"], None if said else "complied"


def _guarded(record: Mapping[str, Any], phrases: Sequence[str]) -> tuple[str, str, str | None]:
    """Harmful prompts, where the phrases and the stored verdict of Llama Guard 2 agree."""
    said, unsafe = contains_phrase(record["response"], phrases), bool(record["is_jailbreak_llamaguard2"])
    kind = None if said == unsafe else "refused" if said else "complied"
    return record["prompt"], record["response"], kind


def _stored_completions(path: Path) -> Iterator[dict[str, Any]]:
    yield from json.loads(path.read_text("utf-8"))["completions"]


def _records(text: str, *columns: str) -> Callable[[Path], Iterator[dict[str, Any]]]:
    return lambda path: (record for _, record in read_records(path, text=text, columns=columns))


READERS: dict[str, Callable[[Mapping[str, Any], Sequence[str]], tuple[str, str, str | None]]] = {
    "xstest": _xstest,
    "answers": _answers,
    "refusals": _refusals,
    "steered_refusals": _steered_refusals,
    "plain_answers": _plain_answers,
    "guarded": _guarded,
}
OF_PEOPLE = {"xstest"}  # formats whose labels people gave
_RECORDS = {
    "xstest": _records("prompt", "completion", "final_label"),
    "answers": _records("instruction", "output"),
    "refusals": _records("instruction", "output"),
    **dict.fromkeys(("steered_refusals", "plain_answers", "guarded"), _stored_completions),
}


# Parts of a refusal, in all orders that are drawn from; each as likely as it is often
REFUSALS = (
    *3 * (("openings",),),
    *2 * (("openings", "reasons"),),
    ("openings", "offers"),
    ("openings", "reasons", "offers"),
    ("sympathies", "openings"),
    ("sympathies", "openings", "reasons"),
    ("reasons",),
    ("reasons", "offers"),
    ("reasons", "reasons"),
)


def own_texts(parts: Mapping[str, Any], *, seed: int) -> list[LabelledText]:
    """Texts put together from `resources/judges/own_texts.yaml`: refusals of its acts, and answers with a hedge or without."""
    rng = random.Random(f"{seed} own")
    texts = []
    for _ in range(N_OWN["refused"]):
        act = rng.choice(parts["acts"])
        prompt = rng.choice(parts["prompts"]).format(act=act)
        text = " ".join(rng.choice(parts[part]).format(act=act) for part in rng.choice(REFUSALS))
        texts.append(LabelledText("own", prompt, text, "refused", "own"))
    for _ in range(N_OWN["complied"]):
        prompt = rng.choice(list(parts["answers"]))
        answer, hedge = rng.choice(parts["answers"][prompt]), rng.choice(parts["hedges"])
        text = rng.choice((answer, answer, f"{hedge} {answer}", f"{hedge}\n\n{answer}", f"{answer} {hedge}"))
        texts.append(LabelledText("own", prompt, text, "complied", "own"))
    return texts


def fit(texts: Sequence[LabelledText]) -> dict[str, float]:
    """Weights by feature, w_0 under `OFFSET`: logistic regression with an L2 penalty, both classes of equal weight.

    Raises:
        ValueError: if the texts are all of one kind.
    """
    if len({text.is_refused for text in texts}) < 2:
        raise ValueError("labelled texts are all of one kind; expected refused ones and others")
    found = [features(text.prompt, text.text) for text in texts]
    prompts = Counter(
        name
        for name, _ in {
            (name, text.prompt) for text, names in zip(texts, found, strict=True) for name in names
        }
    )
    vectorizer = DictVectorizer()
    counted = vectorizer.fit_transform(
        [{name: len(names) ** -0.5 for name in names if prompts[name] >= LEAST_PROMPTS} for names in found]
    )
    model = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=3000)
    model.fit(
        counted,
        np.array([text.is_refused for text in texts]),
        sample_weight=np.array([WEIGHTS[text.labelled_by] for text in texts]),
    )
    weights = {
        str(name): float(weight)
        for name, weight in zip(vectorizer.get_feature_names_out(), model.coef_[0], strict=True)
        if abs(weight) >= LEAST_WEIGHT
    }
    return {OFFSET: float(model.intercept_[0]) + SHIFT, **weights}


def left_out_errors(
    texts: Sequence[LabelledText], others: Sequence[Judge], *, confidence: float
) -> pd.DataFrame:
    """The `declines_errors` table: each model that people labelled is judged by weights fitted to the other models' texts.

    Args:
        others: judges to measure on the same texts; they were not fitted.
    """
    rows = []
    for left_out in dict.fromkeys(text.model for text in texts if text.labelled_by == "people"):
        held = [text for text in texts if text.model == left_out and text.labelled_by == "people"]
        judge = DeclinesJudge(fit([text for text in texts if text.model != left_out]))
        for each in (judge, *others):
            verdicts = each.judge([text.prompt for text in held], [text.text for text in held])
            for kind in ("refused", "partly", "complied"):
                said = [
                    verdict.refused for verdict, text in zip(verdicts, held, strict=True) if text.kind == kind
                ]
                if not said:
                    continue
                n_wrong = sum(said) if kind == "complied" else len(said) - sum(said)
                rows.append(
                    {
                        "judge": each.name,
                        "model": left_out,
                        "truth": kind,
                        "n": len(said),
                        "n_refused": sum(said),
                        **rate_row("error_rate", n_wrong, len(said), confidence=confidence),
                    }
                )
    return pd.DataFrame(rows, columns=DECLINES_ERRORS.names)
