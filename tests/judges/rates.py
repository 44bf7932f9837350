"""Attack success of two models, the errors of two judges and a published rate, as the tables on steering and judges read them."""

from __future__ import annotations

import pandas as pd

from steering_study.judges.schemas import JUDGE_ERRORS

KEY = ["model", "method", "condition", "dataset"]
ASR = pd.DataFrame(
    [
        ("pocket-llama", "none", "base", "harmless", 100, 0.99, 0.95, 1.0, 0.0),
        ("pocket-llama", "dim", "induce", "harmless", 100, 0.03, 0.01, 0.08, 0.01),
        ("pocket-gemma", "dim", "induce", "harmless", 90, 0.1, 0.05, 0.18, 0.02),
    ],
    columns=[*KEY, "n", "asr", "asr_low", "asr_high", "degenerate_rate"],
).assign(judge="phrases")
ERRORS = pd.DataFrame(
    [
        ("phrases", "mine.csv", "all", "", "complied", 50, 1, 0.02, 0.0, 0.1, 0.02, 0.0, 0.1),
        ("phrases", "mine.csv", "all", "", "refused", 40, 36, 0.9, 0.77, 0.96, 0.1, 0.04, 0.23),
        ("phrases", "mine.csv", "harmless", "", "refused", 10, 10, 1.0, 0.72, 1.0, 0.0, 0.0, 0.28),
        ("minos", "mine.csv", "all", "turned", "complied", 50, 25, 0.5, 0.37, 0.63, 0.5, 0.37, 0.63),
    ],
    columns=JUDGE_ERRORS.names,
)
PUBLISHED = pd.DataFrame(
    [("pocket-llama", "llama-3.2-3b-instruct", "harmless", "alpaca", "dim", 0.03)],
    columns=["model", "published_model", "dataset", "published_dataset", "method", "asr"],
)
