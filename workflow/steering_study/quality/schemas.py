"""Tables of how well a model serves the study."""

from __future__ import annotations

from steering_study.store.columns import (
    ABLATION,
    CONDITION,
    DATASET,
    HIGH,
    LAYER,
    LOW,
    METHOD,
    MODEL,
    SPLIT,
    N,
)
from steering_study.store.schema import Table, integer, number, string

WINDOWS = Table(
    "windows",
    {
        "model": MODEL,
        "method": METHOD,
        "layer": LAYER,
        "condition": CONDITION,
        "n": integer("validation prompts a coefficient"),
        "best_flip_rate": number("largest flip rate of the layer's sweep"),
        "lowest": number(
            "smallest coefficient, by its size, at which steering flips enough and garbles little; empty where none does"
        ),
        "highest": number("largest such coefficient"),
        "factor": number("highest over lowest, the width of the steering window"),
    },
)

# On test prompts, and on validation prompts alone, to choose among models by
QUALITY = Table(
    "quality",
    {
        "model": MODEL,
        "measure": string(
            "what is scored - unsteered refusals, steered success, steering window, side effects, ablations"
        ),
        "method": METHOD,
        "condition": CONDITION,
        "dataset": DATASET,
        "split": SPLIT,
        "layer": integer(
            "block before which the vector is added, counted from 0; -1 where it does not apply"
        ),
        "ablation": ABLATION,
        "n": N,
        "value": number(
            "of the measure, as a share; points for the largest ablation, a ratio for the window"
        ),
        "low": LOW,
        "high": HIGH,
        "at_least": number("what a bundled model should reach; empty where nothing is asked"),
        "at_most": number("what a bundled model should not exceed; empty where nothing is asked"),
        "met": string("whether it does - yes or no; empty where nothing is asked"),
    },
)

CANDIDATE_QUALITY = Table("candidate_quality", QUALITY.columns)
