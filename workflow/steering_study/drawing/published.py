"""Published numbers beside ours: which of the paper's models and data sets stands beside which of this study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

# Published models and datasets that ours stand beside; a family without its own stands beside both models.
PUBLISHED_MODELS = {
    "Gemma2ForCausalLM": ("gemma-2-2b-it",),
    "LlamaForCausalLM": ("llama-3.2-3b-instruct",),
}
PUBLISHED_DATASETS = {"harmless": "alpaca", "harmful": "jailbreakbench", "ood": "strongreject"}


def published_beside(
    asr: pd.DataFrame, published: pd.DataFrame, cards: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """The published rate that stands beside each rate of ours, where there is one."""
    ours = asr[["model", "dataset", "method"]].drop_duplicates()
    ours = ours.assign(
        published_model=[
            PUBLISHED_MODELS.get(cards[model]["architecture"], tuple(published["model"].unique()))
            for model in ours["model"]
        ],
        published_dataset=[PUBLISHED_DATASETS.get(name, name) for name in ours["dataset"]],
    ).explode("published_model")
    printed = published.rename(columns={"model": "published_model", "dataset": "published_dataset"})
    return ours.merge(printed, on=["published_model", "published_dataset", "method"], how="inner")
