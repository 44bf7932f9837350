"""Faithfulness of circuits, and the smallest that is faithful."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.circuits.frames import INTERVAL

from steering_study.circuits.faithfulness import (
    minimum_faithful,
    minimum_size,
    size_grid,
    summarise_faithfulness,
)


def runs_of(values):
    """Two responses of each test set, base 0 and steer 1 and 3: {size: (value of the first, of the second)}."""
    table = pd.DataFrame(
        [
            (size, dataset, f"{dataset}-{i}", value, steer)
            for size, pair in values.items()
            for dataset in ("harmful", "harmless")
            for i, (value, steer) in enumerate(zip(pair, (1.0, 3.0), strict=True))
        ],
        columns=["n_edges", "dataset", "prompt_id", "value", "steer"],
    )
    table = table.assign(kind="own", circuit_method="dim", metric="logit_difference", half=-1, draw=0)
    return table.assign(nominal_edges=table["n_edges"], base=0.0, n_positions=1)


def test_faithfulness_is_a_ratio_of_sums_beside_the_mean_of_ratios():
    table = summarise_faithfulness(
        runs_of({10: (1.0, 1.5), 20: (1.0, 3.0)}), method="dim", n_edges=20, threshold=0.85, **INTERVAL
    )
    first = table[(table["nominal_edges"] == 10) & (table["dataset"] == "harmful")].iloc[0]
    assert first["faithfulness"] == pytest.approx(2.5 / 4)
    assert first["mean_of_ratios"] == pytest.approx(0.75)
    assert first["low"] <= first["faithfulness"] <= first["high"]
    assert first["share_of_edges"] == 0.5
    assert set(table.loc[table["minimum"], "nominal_edges"]) == {20}


def test_minimum_size_is_the_first_that_reaches_the_threshold():
    runs = runs_of({10: (0.0, 1.0), 20: (1.0, 2.6), 40: (0.0, 0.0), 80: (1.0, 3.0)})
    assert minimum_size(runs, threshold=0.85) == 20
    assert minimum_size(runs, threshold=0.95) == 80
    with pytest.raises(ValueError, match="add 100"):
        minimum_size(runs.query("nominal_edges == 10"), threshold=0.85)


def test_a_test_set_without_an_effect_is_named_and_not_left_out_of_the_mean():
    runs = runs_of({10: (0.0, 1.0), 20: (1.0, 2.6)})
    still = runs["dataset"] == "harmful"
    runs.loc[still, "steer"] = runs.loc[still, "base"]
    with pytest.raises(
        ValueError, match=r"changes no prediction on the responses to harmful, .*leave the method out"
    ):
        minimum_size(runs, threshold=0.85)


def test_size_grid_by_step_and_by_share():
    assert size_grid(1000, step=300, shares_percent=[]) == [300, 600, 900, 1000]
    assert size_grid(1000, step=None, shares_percent=[1.0, 3.4, 100.0]) == [10, 34, 1000]
    assert size_grid(20, step=None, shares_percent=[1.0, 2.0, 100.0]) == [1, 20]


def test_minimum_faithful_is_the_smallest_that_reaches():
    assert minimum_faithful([10, 20, 30], [0.9, 0.8, 0.95], threshold=0.85) == 10
    assert minimum_faithful([10, 20, 30], [0.1, 0.86, 0.8], threshold=0.85) == 20
    assert minimum_faithful([10, 20], [0.1, 0.2], threshold=0.85) is None
