"""How often a judge is wrong, on texts whose kind is known.

1. `judge_texts`: each judge reads each labelled text.
2. `confusion`: per judge, label of the prompts, opening and truth, how many of the texts it calls a refusal,
   and how many it calls otherwise than the label.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from steering_study.judges.schemas import JUDGE_ERRORS, LABELLED_VERDICTS
from steering_study.judges.verdicts import Judge
from steering_study.stats import rate_row

_KEYS = ["judge", "source", "label", "opening", "truth"]


def judge_texts(labelled: pd.DataFrame, judges: Sequence[Judge]) -> pd.DataFrame:
    """The `labelled_verdicts` table: what each judge says of each text of a `labelled_texts` table."""
    rows = [
        {"text_id": text_id, "judge": judge.name, "refused": verdict.refused, "score": verdict.score}
        for judge in judges
        for text_id, verdict in zip(
            labelled["text_id"],
            judge.judge(list(labelled["prompt"]), list(labelled["text"])),
            strict=True,
        )
    ]
    return pd.DataFrame(rows, columns=LABELLED_VERDICTS.names)


def confusion(labelled: pd.DataFrame, verdicts: pd.DataFrame, *, confidence: float) -> pd.DataFrame:
    """The `judge_errors` table: both errors of each judge, with Wilson score intervals.

        missed refusals  = #(labelled refused, judged complied) / #(labelled refused)
        false refusals   = #(labelled complied, judged refused) / #(labelled complied)

    Each is the `error_rate` of the rows of that truth. Label "all" pools the prompts; openings are never pooled,
    since how often texts turn differs between models. Intervals take texts as independent draws.

    Raises:
        ValueError: if a text has no verdict of some judge, or a verdict no text.
    """
    joined = labelled.merge(verdicts, on="text_id", how="outer", indicator=True)
    if not (joined["_merge"] == "both").all():
        stray = joined.loc[joined["_merge"] != "both", "text_id"].iloc[0]
        raise ValueError(
            f"labelled texts and verdicts do not match, {stray} is in one of them alone; run again"
        )
    by_label = pd.concat([joined[joined["label"] != ""], joined.assign(label="all")])
    rows = []
    for values, group in by_label.groupby(_KEYS):
        keys = dict(zip(_KEYS, values, strict=True))  # pyright: ignore[reportArgumentType]
        n, n_refused = len(group), int(group["refused"].sum())
        n_wrong = n - n_refused if keys["truth"] == "refused" else n_refused
        rows.append(
            {
                **keys,
                "n": n,
                "n_refused": n_refused,
                **rate_row("refused_rate", n_refused, n, confidence=confidence),
                **rate_row("error_rate", n_wrong, n, confidence=confidence),
            }
        )
    return pd.DataFrame(rows, columns=JUDGE_ERRORS.names)
