"""Which responses circuits are found and judged on: those of test prompts whose behaviour steering flipped (docs/circuits.md).

Four sets a method: {harmful, harmless} prompts x {steered, base} response as the forced text. They are named by label
and text: harmful_steer, harmful_base, harmless_steer, harmless_base.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import pandas as pd

from steering_study.judges.panel import flips, is_target

logger = logging.getLogger(__name__)

TEXTS = ("steer", "base")


def flipped_prompts(
    base: pd.DataFrame, steered: pd.DataFrame, *, datasets: Mapping[str, str], limit: int | None
) -> pd.DataFrame:
    """Test prompts that steering flipped, in the order of their ids; a set without one is named in the log.

    Args:
        base, steered: verdicts without and with steering.
        datasets: the test set of each label.
        limit: most prompts of a set.

    Returns:
        prompt_id, label, dataset, coefficient, and half: every second prompt of a set is in the second half.

    Raises:
        ValueError: if there is none.
    """
    flipped = steered[flips(base, steered) & is_target(steered)]
    tables = []
    for label, dataset in datasets.items():
        prompts = flipped[(flipped["label"] == label) & (flipped["dataset"] == dataset)]
        if prompts.empty:
            logger.warning(
                "steering flips no prompt of %s: circuits rest on the other test sets alone", dataset
            )
        prompts = prompts.sort_values("prompt_id").head(limit or len(prompts))
        tables.append(prompts.assign(half=[i % 2 for i in range(len(prompts))]))
    selected_prompts = pd.concat(tables, ignore_index=True)
    if selected_prompts.empty:
        raise ValueError(
            f"steering flips no prompt of the test sets {', '.join(datasets.values())}, so there is no response to "
            "find a circuit on; leave the method out of circuits.methods"
        )
    return selected_prompts[["prompt_id", "label", "dataset", "coefficient", "half"]]


def patching_sets(
    flipped: pd.DataFrame, base: pd.DataFrame, steered: pd.DataFrame
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each set with at least one response, as rows with prompt and token_ids.

    Args:
        base, steered: responses without and with steering.
    """
    texts = {
        "steer": steered[is_target(steered)].set_index("prompt_id"),
        "base": base.set_index("prompt_id"),
    }
    for label, rows in flipped.groupby("label", sort=True):
        for text in TEXTS:
            found = texts[text].loc[rows["prompt_id"], ["prompt", "token_ids"]].reset_index(drop=True)
            yield f"{label}_{text}", pd.concat([rows.reset_index(drop=True), found], axis=1)
