"""The page of texts: every text of a study once, with its verdicts, what made them, and the runs that wrote it.

1. `gather_texts`: tables of responses and verdicts to one record per model, prompt and text.
2. `page_values`: records as the lists that the page's script reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from steering_study.drawing import theme
from steering_study.judges.declines import DeclinesJudge
from steering_study.judges.degenerate import IMPROBABLE_NATS
from steering_study.judges.phrases import phrase_spans

RUN_LABELS = {
    "base": "without steering",
    "test": "test prompts",
    "sweep": "over coefficients",
    "layers": "over layers",
    "contrast": "for training pairs",
    "frozen": "frozen or cleared",
    "sparse": "sparse vectors",
    "sparse_sweep": "sparse, over coefficients",
    "circuit": "circuit alone",
    "complement": "without the circuit",
    "windows": "over layers and coefficients",
}
N_EVIDENCE = 8  # marked places of the second judge, the weightiest
KEYS = ["model", "prompt_id", "text"]
WRITTEN = ["method", "run", "condition", "coefficient"]
# marks: a refusal phrase, words for and against declining, a token that the unsteered model finds nearly impossible
MARKS = {"phrase": "p", "declines": "d", "complies": "c", "improbable": "i"}

Mark = tuple[int, int, str]
Spans = Callable[[str, Sequence[int]], Sequence[tuple[int, int]]]


def gather_texts(files: Sequence[tuple[str, str, pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """One row per model, prompt and text, in the order of prompts, the unsteered text first.

    Args:
        files: model, run, responses and verdicts, row by row the same.

    Returns:
        Columns of the first writing, and `written`: method, run, condition, coefficient and how often, of all of them.

    Raises:
        ValueError: if responses and verdicts are not of the same prompts.
    """
    parts = []
    for model, run, responses, verdicts in files:
        if list(responses["prompt_id"]) != list(verdicts["prompt_id"]):
            raise ValueError(
                f"responses and verdicts of {model}, run {run!r}, are not of the same prompts; run again"
            )
        added = verdicts.drop(columns=[name for name in verdicts if name in responses])
        parts.append(pd.concat([responses, added], axis=1).assign(model=model, run=run))
    rows = pd.concat(parts, ignore_index=True)
    counts = rows.groupby([*KEYS, *WRITTEN], sort=False).size().reset_index(name="n")
    written = {
        key: [tuple(row) for row in group[[*WRITTEN, "n"]].itertuples(index=False)]
        for key, group in counts.groupby(KEYS, sort=False)
    }
    texts = rows.drop_duplicates(KEYS).copy()
    texts["written"] = [written[tuple(key)] for key in texts[KEYS].itertuples(index=False)]
    texts["is_steered"] = texts["run"] != "base"
    order = {name: place for place, name in enumerate(theme.datasets_in(texts))}
    texts["place"] = texts["dataset"].map(order)
    models = {name: place for place, name in enumerate(dict.fromkeys(rows["model"]))}
    texts["of_model"] = texts["model"].map(models)
    ordered = texts.sort_values(["of_model", "place", "prompt_id", "is_steered"], kind="stable")
    return ordered.reset_index(drop=True)


def marks_of(
    row: Mapping[str, Any], *, phrases: Sequence[str], declines: DeclinesJudge | None, spans: Spans
) -> list[Mark]:
    """Places of a text that made its verdicts, in order.

    Args:
        row: of `gather_texts`.
        declines: the judge of that name, where it has read the text.
        spans: places of a text's tokens.
    """
    text = row["text"]
    marks = [(start, end, MARKS["phrase"]) for start, end in phrase_spans(text, phrases)]
    if declines is not None:
        evidence = sorted(declines.evidence(row["prompt"], text), key=lambda each: -abs(each[1]))
        marks += [
            (*span, MARKS["declines" if share > 0 else "complies"]) for span, share in evidence[:N_EVIDENCE]
        ]
    improbable = np.flatnonzero(~(np.asarray(row["unsteered_logprobs"], dtype=float) >= IMPROBABLE_NATS))
    if len(improbable):
        places = spans(text, [int(token) for token in row["token_ids"]])
        marks += [(*places[int(at)], MARKS["improbable"]) for at in improbable if at < len(places)]
    return sorted((start, end, kind) for start, end, kind in marks if end > start)


def page_values(texts: pd.DataFrame, marks: Sequence[Sequence[Mark]]) -> dict[str, Any]:
    """What the page's script reads: names once, and a list per text (its order is that of `FIELDS` there)."""
    prompts: dict[tuple[str, str, str, str, str], int] = {}
    writings: dict[tuple[str, str, str, float], int] = {}
    models = list(dict.fromkeys(texts["model"]))
    records = []
    for row, marked in zip(texts.to_dict("records"), marks, strict=True):
        prompt = (row["prompt_id"], row["label"], row["dataset"], row["split"], row["prompt"])
        records.append(
            [
                models.index(row["model"]),
                prompts.setdefault(prompt, len(prompts)),
                row["text"],
                int(row["refused"]),
                row["judge"],
                int(row["second_refused"]) if row["second_judge"] else None,
                round(row["second_score"], 3) if row["second_judge"] else None,
                round(row["loop_share"], 3),
                round(row["improbable_share"], 3),
                int(row["degenerate"]),
                [list(mark) for mark in marked],
                [
                    [writings.setdefault(tuple(written[:-1]), len(writings)), written[-1]]
                    for written in row["written"]
                ],
            ]
        )
    return {
        "models": [[name, theme.model_label(name)] for name in models],
        "prompts": [list(prompt) for prompt in prompts],
        "writings": [list(writing) for writing in writings],
        "second": next((name for name in texts["second_judge"] if name), ""),
        "methods": {writing[0]: theme.method_label(writing[0]) for writing in writings},
        "runs": {writing[1]: RUN_LABELS.get(writing[1], writing[1]) for writing in writings},
        "datasets": {prompt[2]: theme.dataset_label(prompt[2]) for prompt in prompts},
        "texts": records,
    }
