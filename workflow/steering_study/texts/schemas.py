"""The table of responses."""

from __future__ import annotations

from steering_study.store.columns import (
    COEFFICIENT,
    CONDITION,
    DATASET,
    LABEL,
    LAYER,
    METHOD,
    PROMPT,
    PROMPT_ID,
    SETTING,
    SPLIT,
)
from steering_study.store.schema import Table, boolean, integers, numbers, string

RESPONSES = Table(
    "responses",
    {
        "prompt_id": PROMPT_ID,
        "dataset": DATASET,
        "split": SPLIT,
        "label": LABEL,
        "method": METHOD,
        "condition": CONDITION,
        "layer": LAYER,
        "coefficient": COEFFICIENT,
        "setting": SETTING,
        "prompt": PROMPT,
        "text": string("the response, without its end-of-turn token"),
        "token_ids": integers("tokens of the response"),
        "logprobs": numbers("nats of each greedy token, under the run that produced it"),
        "finished": boolean("ended by an end-of-turn token of the model"),
        "unsteered_logprobs": numbers("nats of each token under the unsteered model, after the same prompt"),
    },
)
