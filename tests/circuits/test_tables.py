"""Circuits that the study evaluates, and the tables made of them, against sums worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.circuits.frames import circuit_summaries
from tests.tables import TABLES

from steering_study.circuits.tables import summarise_completeness


def test_completeness_is_a_share_of_the_change():
    table = pd.DataFrame(
        {
            "method": "dim",
            "patching_set": "harmful_steer",
            "metric": "kl_0",
            "prompt_id": ["a", "b"],
            "half": [0, 1],
            "n_tokens": [5, 5],
            "n_positions": [2, 3],
            "change": [1.0, 4.0],
            "outgoing": [2.0, 3.5],
        }
    )
    (row,) = summarise_completeness(table).to_dict("records")
    assert row["residual_percent"] == pytest.approx(10)
    assert (row["change"], row["outgoing"]) == (pytest.approx(1.0), pytest.approx(1.1))


def test_every_summary_has_the_columns_of_its_table():
    for name, table in circuit_summaries(("dim", "ntp")).items():
        assert set(table.columns) == set(TABLES[name].names), name


def test_shares_of_each_end_add_up():
    shares = circuit_summaries(("dim",))["edge_shares"]
    assert np.allclose(shares.groupby(["scope", "end"])["percent"].sum(), 100)
