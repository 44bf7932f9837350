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
from steering_study.store.schema import Table, boolean, integers, number, numbers, string

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
        "logprob_refused": number("mean nats a token, unsteered, in a prompt where a refusal is normal"),
        "logprob_complied": number("the same where an answer is normal"),
    },
)
