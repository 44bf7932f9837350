"""Tables of which a test gives the columns that matter to it."""

from __future__ import annotations

import pandas as pd

from steering_study.export.tables import TABLES as OF_THE_STUDY
from steering_study.quality.schemas import CANDIDATE_QUALITY, QUALITY, WINDOWS
from steering_study.store.schema import by_name

TABLES = {**OF_THE_STUDY, **by_name(WINDOWS, QUALITY, CANDIDATE_QUALITY)}

FILLERS = {
    "string": "",
    "int64": 0,
    "float64": -0.5,
    "bool": False,
    "list<int64>": [1],
    "list<float64>": [-0.5],
}


def filled(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with something in every other column of a table."""
    missing = {name: kind for name, kind in TABLES[table].kinds.items() if name not in rows}
    return rows.assign(**{name: [FILLERS[kind]] * len(rows) for name, kind in missing.items()})[
        TABLES[table].names
    ]
