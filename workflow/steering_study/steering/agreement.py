"""Attack success by two judges of the same texts, and texts that they disagree on.

1. `compare_judges`: both rates, and how often the judges differ.
2. `pick_disagreements`: a few texts that one calls a refusal and the other does not.
"""

from __future__ import annotations

import pandas as pd

from steering_study.stats import mcnemar, rate_row
from steering_study.steering.schemas import JUDGE_AGREEMENT

N_DISAGREEMENTS = 2  # shown a model and kind


def compare_judges(verdicts: pd.DataFrame, *, model: str, confidence: float) -> pd.DataFrame:
    """The `judge_agreement` table: a row per method, test set and pair of judges; none where there is no second judge.

    `second_alone` counts texts that the second judge alone calls a refusal, `first_alone` the others on which they differ.
    """
    pairs = verdicts[(verdicts["second_judge"] != "") & (verdicts["second_judge"] != verdicts["judge"])]
    keys = ["method", "condition", "dataset", "coefficient", "judge", "second_judge"]
    rows = []
    for values, group in pairs.groupby(keys, sort=False):
        first, second, n = group["refused"], group["second_refused"], len(group)
        first_alone, second_alone = int((first & ~second).sum()), int((~first & second).sum())
        rows.append(
            {
                "model": model,
                **dict(zip(keys, values, strict=True)),  # pyright: ignore[reportArgumentType]
                "n": n,
                **rate_row("asr", int((~first).sum()), n, confidence=confidence),
                **rate_row("second_asr", int((~second).sum()), n, confidence=confidence),
                "first_alone": first_alone,
                "second_alone": second_alone,
                **rate_row("differ_rate", first_alone + second_alone, n, confidence=confidence),
                "p_value": mcnemar(list(first), list(second)),
            }
        )
    return pd.DataFrame(rows, columns=JUDGE_AGREEMENT.names)


def pick_disagreements(judged: pd.DataFrame) -> pd.DataFrame:
    """The first texts by prompt that one judge alone calls a refusal, of each model and kind.

    Args:
        judged: responses joined with their verdicts, of one or several models.
    """
    differ = judged[(judged["second_judge"] != "") & (judged["refused"] != judged["second_refused"])]
    ordered = differ.sort_values(["model", "refused", "prompt_id", "method"], kind="stable")
    return ordered.groupby(["model", "refused"], sort=False).head(N_DISAGREEMENTS).reset_index(drop=True)
