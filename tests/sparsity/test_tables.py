"""Tables of sparse vectors by hand: what is left, how long it lasts, what methods keep together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from tests.sparsity.by_hand import INTERVAL, TEXTS, base_verdicts, kept, only, settings, verdicts, written

from steering_study.sparsity.settings import settings_table
from steering_study.sparsity.shared import overlap_table
from steering_study.sparsity.sparsify import Grid, Sparse, plain_vectors
from steering_study.sparsity.tables import summarise_kl, summarise_sparse_circuits, summarise_sparsity
from steering_study.stats import wilson_interval


def test_rates_of_every_vector_are_counts_of_verdicts(tmp_path):
    steered = verdicts(TEXTS, degenerate=[(1, "harmful", 0)])
    found = summarise_sparsity(base_verdicts(), steered, settings(), confidence=0.95)
    written(tmp_path, found, "sparsity")
    assert len(found) == 6
    row = only(found, criterion="gradient", n_kept=2, dataset="harmful")
    assert (row["asr"], row["n"], row["degenerate_rate"]) == (0.5, 4, 0.25)
    assert row["flip_rate"] == 0.25  # prompt 0 is degenerate, 1 flips, 2 and 3 refuse
    assert (row["asr_low"], row["asr_high"]) == wilson_interval(2, 4, confidence=0.95)
    assert (row["flip_low"], row["flip_high"]) == wilson_interval(1, 4, confidence=0.95)
    assert only(found, criterion="none", dataset="harmful")["flip_rate"] == 0.75  # prompt 3 never refused
    assert only(found, criterion="none", dataset="harmless")["asr"] == 0.25


def test_draws_variants_and_methods_have_rows_of_their_own():
    sparse = [
        Sparse("dropout", kept(0, 1), draw=0, target_percent=50.0),
        Sparse("dropout", kept(2, 3), draw=1, target_percent=50.0),
        Sparse("gradient", kept(0, 1), threshold=0.5),
        Sparse(
            "gradient", kept(0, 1), "retuned", target_percent=50.0, factors={"induce": 2.0, "bypass": 3.0}
        ),
    ]
    texts = [{"harmful": "00"}, {"harmful": "01"}, {"harmful": "11"}, {"harmful": "10", "harmless": "11"}]
    both = pd.concat([verdicts(texts), verdicts([{"harmful": "11"}] * 4, method="po")])
    named = pd.concat([settings(sparse), settings(sparse, method="po")])
    found = summarise_sparsity(base_verdicts(), both, named, confidence=0.95)
    assert len(found) == 9
    assert (found.loc[found["method"] == "po", "asr"] == 0).all()
    of_dim = found[found["method"] == "dim"]
    assert only(of_dim, draw=0, criterion="dropout")["asr"] == 1
    assert only(of_dim, draw=1, criterion="dropout")["asr"] == 0.5
    assert only(of_dim, threshold=0.5)["asr"] == 0
    assert only(of_dim, variant="retuned", condition="bypass")["factor"] == 3
    assert only(of_dim, variant="retuned", condition="induce")["factor"] == 2


def divergences(values):
    """The `sparse_kl` table: (criterion, draw) -> KL of each prompt."""
    sparse = {"none": (math.nan, 0.0, 4), "gradient": (50.0, 50.0, 2), "dropout": (50.0, 50.0, 2)}
    return pd.DataFrame(
        [
            {
                "method": "dim",
                "criterion": criterion,
                "variant": "plain",
                "draw": draw,
                "threshold": math.nan,
                "target_percent": sparse[criterion][0],
                "sparsity_percent": sparse[criterion][1],
                "n_kept": sparse[criterion][2],
                "dataset": "harmful",
                "prompt_id": f"harmful-{i}",
                "kl_nats": value,
            }
            for (criterion, draw), each in values.items()
            for i, value in enumerate(each)
        ]
    )


def test_kl_is_a_mean_over_prompts_of_means_over_draws(tmp_path):
    table = divergences(
        {
            ("none", 0): [0.0, 0.0],
            ("gradient", 0): [0.5, 1.5],
            ("dropout", 0): [1.0, 0.0],
            ("dropout", 1): [3.0, 2.0],
        }
    )
    written(tmp_path, table, "sparse_kl")
    found = summarise_kl(table, **INTERVAL)
    written(tmp_path, found, "sparsity_kl")
    assert found["criterion"].tolist() == ["none", "gradient", "dropout"]
    assert found["kl_nats"].tolist() == [0, 1, 1.5]
    assert found["n"].tolist() == [2, 2, 2]
    assert found.loc[0, ["kl_low", "kl_high"]].tolist() == [0, 0]
    assert found.loc[2, ["kl_low", "kl_high"]].tolist() == [1, 2]  # of prompts: those of draws are 0 and 3


def runs(rows):
    """The `sparse_runs` table: (target_percent, size) -> (value, base, steer) of each response."""
    return pd.DataFrame(
        [
            {
                "method": "dim",
                "target_percent": percent,
                "nominal_edges": size,
                "n_edges": size - 1,
                "dataset": "harmful",
                "value": float(value),
                "base": float(base),
                "steer": float(steer),
                "n_positions": 2 if steer != base else 0,
            }
            for (percent, size), measured in rows.items()
            for value, base, steer in measured
        ]
    )


def test_faithfulness_is_of_the_sparse_vector_s_own_effect(tmp_path):
    """(2 + 3) / (4 + 4) under the dense vector; a sparse one of half the effect: (1 + 2) / (2 + 2)."""
    table = runs({(0.0, 10): [(1, -1, 3), (3, 0, 4)], (50.0, 10): [(0, -1, 1), (2, 0, 2), (5, 5, 5)]})
    found = summarise_sparse_circuits(table, **INTERVAL)
    written(tmp_path, found, "sparse_faithfulness")
    assert found["faithfulness"].tolist() == pytest.approx([5 / 8, 3 / 4])
    assert found["gap"].tolist() == [2, 1]  # a position
    assert found["n"].tolist() == [2, 2]  # the third changes nothing
    assert found["n_edges"].tolist() == [9, 9]
    assert (found["low"] <= found["faithfulness"]).all()
    assert (found["faithfulness"] <= found["high"]).all()
    assert found.loc[0, ["low", "high"]].tolist() == [0.5, 0.75]


def test_a_sparse_vector_without_effect_has_no_faithfulness(tmp_path):
    found = summarise_sparse_circuits(runs({(90.0, 10): [(3, 3, 3), (1, 1, 1)]}), **INTERVAL)
    row = written(tmp_path, found, "sparse_faithfulness").iloc[0]
    assert row[["faithfulness", "low", "high"]].isna().all()
    assert (row["gap"], row["n"]) == (0, 0)


def test_settings_of_a_grid_pass_their_schema_and_overlap_with_themselves(tmp_path):
    vector, effects = np.random.default_rng(0).normal(size=(2, 40))
    sparse = plain_vectors(vector, effects, Grid([50.0, 90.0], [0.3], draws=2), seed=0)
    table = written(tmp_path, settings_table(sparse), "sparse_settings")
    found = overlap_table({"a": table, "b": table}, d_model=40)
    assert len(found) == 9  # three criteria that draw nothing, at three sparsities
    assert (found["iou"] == 1).all()
