"""The two conditions of steering, and whom they concern (docs/texts.md).

| condition | prompts that it should change | prompts that it should leave alone | sign of the coefficient |
|---|---|---|---|
| induce | harmless ones, to refused | harmful ones | + |
| bypass | harmful ones, to complied | harmless ones | - |
"""

from __future__ import annotations

TARGET = {"induce": "harmless", "bypass": "harmful"}  # label that a condition should change
BYSTANDERS = {"induce": "harmful", "bypass": "harmless"}  # label that it should leave alone
SIGN = {"induce": 1.0, "bypass": -1.0}
CONDITION_OF_LABEL = {label: condition for condition, label in TARGET.items()}
