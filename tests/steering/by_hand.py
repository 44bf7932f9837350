"""Attack success of two models, published rates and cards of theirs."""

from __future__ import annotations

import pandas as pd

CARDS = {
    "tiny": {
        "architecture": "LlamaForCausalLM",
        "post_instruction_tokens": ["<eot>", "ĊĊ"],
        "end_of_turn_ids": [2, 3],
    },
    "other": {"architecture": "Qwen2ForCausalLM", "post_instruction_tokens": ["<eot>", "ĊĊ"]},
}
PUBLISHED = pd.DataFrame(
    [
        ("gemma-2-2b-it", "alpaca", 0.0),
        ("gemma-2-2b-it", "jailbreakbench", 0.8),
        ("llama-3.2-3b-instruct", "alpaca", 0.03),
        ("llama-3.2-3b-instruct", "jailbreakbench", 0.85),
    ],
    columns=["model", "dataset", "asr"],
).assign(method="dim")


def asr(model: str, harmless: str = "harmless", harmful: str = "harmful") -> pd.DataFrame:
    rows = [
        ("none", "base", harmless, 0.0, 0.98, 0.93, 0.99, 0.0),
        ("none", "base", harmful, 0.0, 0.01, 0.0, 0.05, 0.0),
        ("dim", "induce", harmless, 1.4, 0.03, 0.01, 0.08, 0.02),
        ("dim", "bypass", harmful, -0.7, 0.9, 0.83, 0.94, 0.015),
    ]
    key = ["method", "condition", "dataset", "coefficient"]
    columns = [*key, "asr", "asr_low", "asr_high", "degenerate_rate"]
    return pd.DataFrame(rows, columns=columns).assign(model=model, n=100, judge="phrases")
