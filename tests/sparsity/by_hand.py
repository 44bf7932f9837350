"""Three sparse vectors and the verdicts on their texts, small enough to count by hand."""

from __future__ import annotations

import pandas as pd
from tests.tables import TABLES

from steering_study.sparsity.settings import mask_of, settings_table
from steering_study.sparsity.sparsify import Sparse
from steering_study.store.artifacts import read_table, write_table

INTERVAL = {"confidence": 0.95, "seed": 0}
CONDITION = {"harmful": "bypass", "ood": "bypass", "harmless": "induce"}
BASE = {"harmful": "1110", "harmless": "0000"}  # refused, prompt by prompt; one is answered without steering
DENSE = {"harmful": "0000", "harmless": "1110"}  # effects: 1 - 1/4, and 3/4
HALF = {"harmful": "0011", "harmless": "1101"}  # (1/2 - 1/4) / (3/4), and all of it
THREE_QUARTERS = {"harmful": "1101", "harmless": "1000"}  # nothing, and (1/4) / (3/4)


def kept(*dimensions):
    return mask_of(dimensions, 4)


SPARSE = [
    Sparse("none", kept(0, 1, 2, 3)),
    Sparse("gradient", kept(0, 1), target_percent=50.0),
    Sparse("gradient", kept(0), target_percent=75.0),
]
TEXTS = [DENSE, HALF, THREE_QUARTERS]


def settings(sparse=SPARSE, *, method="dim"):
    return settings_table(sparse).assign(method=method)


def verdicts(texts, *, method="dim", degenerate=()):
    """Verdicts on texts of each setting: `refused` a letter a prompt, by dataset.

    Args:
        degenerate: (setting, dataset, prompt).
    """
    return pd.DataFrame(
        [
            {
                "method": method,
                "setting": setting,
                "dataset": dataset,
                "condition": CONDITION[dataset],
                "prompt_id": f"{dataset}-{i}",
                "refused": letter == "1",
                "degenerate": (setting, dataset, i) in degenerate,
            }
            for setting, by_set in enumerate(texts)
            for dataset, refused in by_set.items()
            for i, letter in enumerate(refused)
        ]
    )


def base_verdicts(refused=BASE):
    return verdicts([refused]).drop(columns=["method", "setting"])


def only(table, **values):
    """The one row of a table with these values."""
    chosen = table
    for column, value in values.items():
        chosen = chosen[chosen[column] == value]
    (row,) = chosen.to_dict("records")
    return row


def written(tmp_path, frame, table):
    """A table that has been through the check of its schema, and is what it was."""
    write_table(tmp_path / "table.parquet", frame, TABLES[table])
    found = read_table(tmp_path / "table.parquet", TABLES[table])
    assert len(found) == len(frame)
    return found
