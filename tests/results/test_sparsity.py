"""What must hold between the tables of sparse vectors, whatever the numbers are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from steering_study.sparsity.retention import POOLED
from steering_study.sparsity.sparsify import CRITERIA
from tests.results.conftest import SPARSE_METHODS

TARGET = ["threshold", "target_percent"]


@pytest.fixture(params=SPARSE_METHODS)
def sparse_method(request):
    return request.param


def settings(results, method):
    return results.table(f"{method}/sparse/sparse_settings.parquet", table="sparse_settings")


def texts(results, method):
    """Verdicts with what was kept of the vector."""
    verdicts = results.table(f"{method}/sparse/verdicts.parquet", table="verdicts")
    return verdicts.merge(settings(results, method), on="setting", validate="many_to_one")


def plain(table):
    return table[(table["variant"] == "plain") & table["criterion"].isin(CRITERIA)]


def test_criteria_are_compared_at_equal_sparsity(results):
    """All of them at the targets of the grid, which is where random draws are made."""
    table = plain(results.table("sparsity.parquet", table="sparsity"))
    for _, rows in table.groupby(["method", "dataset", *TARGET], dropna=False):
        assert rows["n_kept"].nunique() == 1
        if (rows["criterion"] == "dropout").any():
            assert set(rows["criterion"]) == set(CRITERIA)
    on_grid = table[table["criterion"] == "dropout"]
    assert set(on_grid["method"]) == set(SPARSE_METHODS)


def test_vectors_of_a_criterion_are_nested(results, sparse_method):
    d_model = results.json("model.json")["d_model"]
    for _, rows in plain(settings(results, sparse_method)).groupby(["criterion", "draw"]):
        sets = [set(each) for each in rows.sort_values("sparsity_percent")["dimensions"]]
        assert [len(each) for each in sets] == list(rows.sort_values("sparsity_percent")["n_kept"])
        assert len(sets[0]) < d_model
        assert all(more >= less for more, less in itertools.pairwise(sets))


def test_every_vector_answers_the_prompts_of_the_dense_one(results, sparse_method):
    """The paper's on every set, ours on the main sets; random draws answer some of them."""
    found = texts(results, sparse_method)
    assert not found.duplicated(["setting", "prompt_id"]).any()
    dense = found[found["criterion"] == "none"]
    for _, rows in found.groupby("setting"):
        asked, which = set(rows["prompt_id"]), rows.iloc[0]
        whole = set(dense.loc[dense["dataset"].isin(rows["dataset"]), "prompt_id"])
        assert asked <= whole if which["criterion"] == "dropout" else asked == whole
        assert set(rows["condition"]) == {"induce", "bypass"}
        if which["variant"] == "plain" and which["criterion"] in CRITERIA:
            assert set(rows["dataset"]) == set(dense["dataset"])


def test_rates_are_shares_of_verdicts(results, sparse_method):
    table = results.table("sparsity.parquet", table="sparsity")
    own = table[table["method"] == sparse_method]
    keys = ["criterion", "variant", "draw", *TARGET, "dataset"]
    counted = (
        texts(results, sparse_method)
        .groupby(keys, dropna=False)
        .agg(refused=("refused", "mean"), answered=("refused", "size"))
        .reset_index()
    )
    both = own.merge(counted, on=keys, validate="one_to_one")
    assert len(both) == len(own) == len(counted)
    assert np.allclose(both["asr"], 1 - both["refused"])
    assert (both["n"] == both["answered"]).all()
    for rate, low, high in (("asr", "asr_low", "asr_high"), ("flip_rate", "flip_low", "flip_high")):
        assert (own[low] <= own[rate] + 1e-9).all()
        assert (own[rate] <= own[high] + 1e-9).all()


def test_dense_vector_is_the_baseline_of_retention(results, sparse_method):
    base = results.table("none/base/verdicts.parquet", table="verdicts").set_index("prompt_id")["refused"]
    found = texts(results, sparse_method)
    dense = found[found["criterion"] == "none"]
    retention = results.table("retention.parquet", table="retention")
    own = retention[(retention["method"] == sparse_method) & (retention["dataset"] != POOLED)]
    for row in own.to_dict("records"):
        asked = found[(found["criterion"] == row["criterion"]) & (found["dataset"] == row["dataset"])]
        rows = dense[dense["prompt_id"].isin(asked["prompt_id"])]
        assert len(rows) == row["n"]
        sign = 1 if (rows["condition"] == "induce").all() else -1
        effect = rows["refused"].mean() - base.loc[rows["prompt_id"]].mean()
        assert row["dense_effect"] == pytest.approx(sign * effect)


def test_retention_is_undefined_without_an_effect_alone(results):
    retention = results.table("retention.parquet", table="retention")
    assert (retention["area"].isna() == (retention["dense_effect"] <= 1e-9)).all()
    known = retention.dropna(subset="area")
    assert (known["area_low"] <= known["area_high"]).all()
    assert known["largest_percent"].between(0, 100).all()


def test_dense_vector_predicts_what_it_predicts_and_the_sparsest_differ_most(results):
    kl = results.table("sparsity_kl.parquet", table="sparsity_kl")
    dense = kl[kl["criterion"] == "none"]
    assert set(dense["method"]) == set(SPARSE_METHODS)
    assert np.allclose(dense["kl_nats"], 0, atol=1e-4)  # twice the same pass, in any precision
    assert (kl["kl_nats"] > -1e-6).all()  # rounding
    for method, rows in kl[kl["criterion"] != "none"].groupby("method"):
        means = rows.groupby("n_kept")["kl_nats"].mean()  # growing n_kept
        if len(means) > 1:
            assert means.iloc[0] > means.iloc[-1], method


def test_whole_graph_carries_all_of_a_sparse_vector_s_steering(results):
    table = results.table("sparse_faithfulness.parquet", table="sparse_faithfulness")
    whole = table[table["nominal_edges"] == table.groupby("method")["nominal_edges"].transform("max")]
    assert set(whole["target_percent"]) == set(table["target_percent"])
    known = whole.dropna(subset="faithfulness")
    assert len(known)
    # 1e-5 nats: rounding, which is more than a thousandth of the smallest gaps; in bfloat16 5e-3 to 8e-3 were seen
    rounding = {"rtol": 1e-3, "atol": 1e-5} if results.is_float32 else {"rtol": 0.01, "atol": 0.05}
    assert np.allclose(known["faithfulness"] * known["gap"], known["gap"], **rounding)
    assert (whole["faithfulness"].isna() == (whole["gap"] == 0)).all()


def test_overlaps_are_those_of_kept_dimensions(results):
    table = results.table("iou.parquet", table="iou")
    kept = {method: plain(settings(results, method)) for method in SPARSE_METHODS}
    pairs = list(itertools.combinations(SPARSE_METHODS, 2))
    assert set(zip(table["method_a"], table["method_b"], strict=True)) == set(pairs)
    assert table["iou"].between(0, 1).all()
    assert (table["n_shared"] <= table[["n_a", "n_b"]].min(axis=1)).all()
    assert np.allclose(table["iou"], table["n_shared"] / (table["n_a"] + table["n_b"] - table["n_shared"]))
    assert (table["p_value"] <= table["p_adjusted"] + 1e-12).all()
    for row in table.to_dict("records"):
        a, b = (set(dimensions_at(kept[row[side]], row)) for side in ("method_a", "method_b"))
        assert (len(a), len(b), len(a & b)) == (row["n_a"], row["n_b"], row["n_shared"])


def dimensions_at(table, row):
    """What a criterion keeps at the target of a row."""
    where = table["criterion"] == row["criterion"]
    for column in TARGET:
        where &= table[column].isna() if np.isnan(row[column]) else table[column] == row[column]
    (found,) = table.loc[where, "dimensions"]
    return found


def test_shared_dimensions_are_kept_by_every_method(results):
    shared = results.table("shared_dimensions.parquet", table="shared_dimensions")
    assert (shared["n_methods"] == len(SPARSE_METHODS)).all()
    for row in shared.to_dict("records"):
        dimensions = set(row["dimensions"])
        assert len(dimensions) == row["n_shared"] <= row["n_kept"]
        for method in SPARSE_METHODS:
            table = settings(results, method)
            at = table[table["target_percent"] == row["target_percent"]]
            for kept in at.loc[at["criterion"] == "gradient", "dimensions"]:
                assert dimensions <= set(kept), method
            for kept in at.loc[at["criterion"] == "shared", "dimensions"]:
                assert dimensions == set(kept), method
            for kept in at.loc[at["criterion"] == "unshared", "dimensions"]:
                assert not dimensions & set(kept), method
