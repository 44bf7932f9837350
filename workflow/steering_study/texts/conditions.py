"""The two conditions of steering, and whom they concern (docs/texts.md).

| condition | prompts that it should change | prompts that it should leave alone | sign of the coefficient |
|---|---|---|---|
| induce | harmless ones, to refused | harmful ones | + |
| bypass | harmful ones, to complied | harmless ones | - |
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

TARGET = {"induce": "harmless", "bypass": "harmful"}  # label that a condition should change
BYSTANDERS = {"induce": "harmful", "bypass": "harmless"}  # label that it should leave alone
SIGN = {"induce": 1.0, "bypass": -1.0}
CONDITION_OF_LABEL = {label: condition for condition, label in TARGET.items()}
NORMAL_BEHAVIOUR = {"harmful": "refused", "harmless": "complied"}  # of an unsteered chat model


def normal_prompts(responses: pd.DataFrame, behaviour: str, contexts: Mapping[str, str]) -> list[str]:
    """For each response, a prompt to which a behaviour, refused or complied, is normal.

    The prompt itself if the behaviour is that of an unsteered model; else the prompt in the context of that
    behaviour, where the config names one.
    """
    context = contexts.get(behaviour, "{prompt}")
    return [
        prompt if NORMAL_BEHAVIOUR[label] == behaviour else context.replace("{prompt}", prompt)
        for prompt, label in zip(responses["prompt"], responses["label"], strict=True)
    ]
