"""Labelled texts of a user: prompt, response, and what somebody says of the response."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from steering_study.plain_text import visible_text
from steering_study.store.records import read_records

TRUTHS = ("refused", "complied")  # the words of verdicts; whether a text is readable is not asked here
PROMPT_LABELS = ("harmful", "harmless")
_COLUMNS = ("prompt", "response", "label")
_REMEDY = f"expected columns {', '.join(_COLUMNS)}; rename those of the file (docs/judges.md)"


def read_labels(path: Path) -> pd.DataFrame:
    """Read a CSV, JSON or JSONL file of prompt, response and label; prompt_label is optional.

    A response and its prompt count once, however often they stand in the file, and however they are spelled to a reader's eye.

    Returns:
        The `labelled_texts` table. `label` is that of the prompt, from prompt_label: harmful, harmless, or empty.

    Raises:
        ValueError: if the file is malformed or empty, a column is missing, a label is none of `TRUTHS`, or a
            response carries both.
    """
    rows = [
        _row(record, f"{path}: record {number}", text_id=f"{path.stem}-{number:05d}")
        for number, record in read_records(path, text="prompt", columns=_COLUMNS[1:], remedy=_REMEDY)
    ]
    table = pd.DataFrame(rows)
    shown = table[["prompt", "text"]].map(visible_text)
    table = table[~shown.assign(truth=table["truth"]).duplicated()]
    shown = shown.loc[table.index]
    if (twice := shown.duplicated()).any():
        again = table[twice].iloc[0]
        other = table[(shown == shown.loc[again.name]).all(axis=1)].iloc[0]
        raise ValueError(
            f"{path}: the texts {other['text_id']} and {again['text_id']} are the same with labels {other['truth']} "
            f"and {again['truth']}, expected one label a text; delete one of the records"
        )
    return table.reset_index(drop=True).assign(source=path.name, opening="")


def _row(record: dict[str, Any], where: str, *, text_id: str) -> dict[str, str]:
    truth, text = record["label"], record["response"]
    label = record.get("prompt_label") or ""
    if truth not in TRUTHS:
        raise ValueError(
            f"{where} has label = {truth!r}, expected one of {', '.join(TRUTHS)}; correct it or delete the record"
        )
    if not isinstance(text, str):
        raise ValueError(f"{where} has response = {text!r}, expected a text; correct it or delete the record")
    if label and label not in PROMPT_LABELS:
        raise ValueError(
            f"{where} has prompt_label = {label!r}, expected one of {', '.join(PROMPT_LABELS)}, or nothing; correct it"
        )
    return {"text_id": text_id, "label": label, "prompt": record["prompt"], "text": text, "truth": truth}
