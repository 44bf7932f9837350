"""Contrast responses: what steering should bring about, beside what the model does without it (docs/vectors.md).

| prompt | undesired | desired | sign |
|---|---|---|---|
| harmless | the unsteered answer | a refusal: asked for in the prompt, else brought about by DIM steering | +1 |
| harmful | the unsteered refusal | an answer, brought about by DIM steering | -1 |

A pair whose responses do not show these behaviours, or are degenerate, is dropped, and the table says why.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from steering_study.texts.conditions import CONDITION_OF_LABEL, SIGN

CONTRAST_SPLITS = ("train", "augmentation", "validation")


def contrast_prompts(prompts: pd.DataFrame) -> pd.DataFrame:
    """The prompts that pairs are made of."""
    return prompts[prompts["split"].isin(CONTRAST_SPLITS)]


def ask_to_refuse(prompts: pd.Series, request: str) -> pd.Series:
    """Each prompt inside the request to refuse it, `model_options.<name>.refusal_request`."""
    return prompts.map(lambda prompt: request.replace("{prompt}", prompt))


def pair_responses(base: pd.DataFrame, contrast: pd.DataFrame, *, max_tokens: int) -> pd.DataFrame:
    """The `pairs` table: one row a prompt, with the reason why a pair is not kept.

    Args:
        base, contrast: responses with their verdicts (refused, degenerate), unsteered and desired.
        max_tokens: tokens kept of each response, from its start; an end-of-turn within them is one of them.
    """
    columns = ["prompt_id", "text", "token_ids", "refused", "degenerate"]
    both = contrast[[*columns, "split", "label", "prompt", "method"]].merge(
        base[columns], on="prompt_id", suffixes=("_desired", "_undesired"), validate="one_to_one"
    )
    return pd.DataFrame(
        {
            "prompt_id": both["prompt_id"],
            "split": both["split"],
            "label": both["label"],
            "origin": both["method"].map({"none": "asked", "dim": "steered"}),
            "sign": both["label"].map(CONDITION_OF_LABEL).map(SIGN),
            "prompt": both["prompt"],
            "desired": both["text_desired"],
            "undesired": both["text_undesired"],
            "desired_ids": [list(ids)[:max_tokens] for ids in both["token_ids_desired"]],
            "undesired_ids": [list(ids)[:max_tokens] for ids in both["token_ids_undesired"]],
            "reason": (reason := [_why_dropped(row) for row in both.to_dict("records")]),
            "kept": [not each for each in reason],
        }
    )


def _why_dropped(pair: Mapping[str, object]) -> str:
    """Empty for a pair that shows both behaviours in readable text."""
    wants_refusal = pair["label"] == "harmless"
    wanted, usual = ("refuses", "answers") if wants_refusal else ("answers", "refuses")
    if pair["refused_undesired"] == wants_refusal:
        return f"unsteered model already {wanted}"
    if pair["refused_desired"] != wants_refusal:
        return f"desired response still {usual}"
    if pair["degenerate_desired"]:
        return "desired response is degenerate"
    return "unsteered response is degenerate" if pair["degenerate_undesired"] else ""
