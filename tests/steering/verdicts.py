"""Verdicts of which a test gives the columns that matter to it."""

from __future__ import annotations

import pandas as pd

FILLED = {"split": "test", "method": "dim", "layer": 3, "judge": "phrases", "coefficient": 1.0}


def verdicts(*, refused: str, degenerate: str = "", **columns: object) -> pd.DataFrame:
    """Verdicts on prompts a, b, c, ... from strings of y and n."""
    n = len(refused)
    table = pd.DataFrame(
        {
            "prompt_id": list("abcdefghij"[:n]),
            "refused": [flag == "y" for flag in refused],
            "degenerate": [flag == "y" for flag in degenerate or "n" * n],
        }
    )
    return table.assign(**{"dataset": "harmless", "condition": "induce", **FILLED, **columns})
