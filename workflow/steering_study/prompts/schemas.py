"""The table of prompts."""

from __future__ import annotations

from steering_study.store.columns import LABEL, PROMPT, SPLIT
from steering_study.store.schema import Table, string

PROMPTS = Table(
    "prompts",
    {
        "id": string("id of the prompt"),
        "split": SPLIT,
        "label": LABEL,
        "source": string("set that it came from; of test prompts the name of the dataset"),
        "concept": string("what the labels are about: refusal"),
        "text": PROMPT,
    },
)
