"""Tables of sparse vectors by hand: what is left, how long it lasts, what methods keep together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from steering_study.artifacts import read_table, write_table
from steering_study.overlap import adjusted_p_values, chance_iou, joint_p_value, overlap_p_value
from steering_study.sparse_tables import (
    POOLED,
    choose_factors,
    mask_of,
    overlap_table,
    overlaps_near,
    settings_table,
    shared_table,
    summarise_kl,
    summarise_retention,
    summarise_sparse_circuits,
    summarise_sparsity,
)
from steering_study.sparsify import Grid, Sparse, plain_vectors, with_factors
from steering_study.stats import wilson_interval

INTERVAL = {"confidence": 0.95, "seed": 0}
RETENTION = {"main_sets": ["harmful", "harmless"], "retained": 0.6, **INTERVAL}
CONDITION = {"harmful": "bypass", "ood": "bypass", "harmless": "induce"}
BASE = {"harmful": "1110", "harmless": "0000"}  # refused, prompt by prompt; one is answered without steering
DENSE = {"harmful": "0000", "harmless": "1110"}  # effects: 1 - 1/4, and 3/4
HALF = {"harmful": "0011", "harmless": "1101"}  # (1/2 - 1/4) / (3/4), and all of it
THREE_QUARTERS = {"harmful": "1101", "harmless": "1000"}  # nothing, and (1/4) / (3/4)

DENSE_TEN = {"harmful": "0" * 10, "harmless": "1" * 10}


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


def retention(texts=TEXTS, sparse=SPARSE, *, base=BASE, **other):
    return summarise_retention(
        base_verdicts(base), verdicts(texts), settings(sparse), **{**RETENTION, **other}
    )


def only(table, **values):
    """The one row of a table with these values."""
    chosen = table
    for column, value in values.items():
        chosen = chosen[chosen[column] == value]
    (row,) = chosen.to_dict("records")
    return row


def written(tmp_path, frame, table):
    """A table that has been through the check of its schema, and is what it was."""
    write_table(tmp_path / "table.parquet", frame, table=table)
    found = read_table(tmp_path / "table.parquet", table=table)
    assert len(found) == len(frame)
    return found


# what vectors are


def test_settings_say_which_dimensions_are_kept():
    found = settings_table([*SPARSE, *with_factors(SPARSE[2:], [3.0])])
    assert found["setting"].tolist() == [0, 1, 2, 3]
    assert found["sparsity_percent"].tolist() == [0, 50, 75, 75]
    assert found["n_kept"].tolist() == [4, 2, 1, 1]
    assert found["dimensions"].tolist() == [[0, 1, 2, 3], [0, 1], [0], [0]]
    assert found["factor_induce"].tolist() == found["factor_bypass"].tolist() == [1, 1, 1, 3]
    assert np.isnan(found["target_percent"]).tolist() == [True, False, False, False]


def test_masks_are_read_back_from_settings(tmp_path):
    table = written(tmp_path, settings_table(SPARSE), "sparse_settings")
    for each, dimensions in zip(SPARSE, table["dimensions"], strict=True):
        assert np.array_equal(mask_of(dimensions, 4), each.kept)
    assert not mask_of([], 4).any()


# retuned coefficients


def factors(texts, *, degenerate=(), max_degenerate=0.1):
    """What is chosen of the factors 1 and 2, tried one after the other."""
    tried = settings_table(
        with_factors([Sparse("gradient", kept(0, 1), "retuned", target_percent=50.0)], [1.0, 2.0])
    )
    found = verdicts(texts, degenerate=degenerate)
    return choose_factors(tried, base_verdicts(), found, max_degenerate=max_degenerate, confidence=0.5)


def test_factor_of_each_condition_is_the_one_that_flips_far_more():
    weak = {"harmful": "0010", "harmless": "1000"}
    strong = {"harmful": "1110", "harmless": "1110"}
    assert factors([weak, strong]) == {("gradient", 50.0): {"induce": 2.0, "bypass": 1.0}}
    assert factors([strong, weak]) == {("gradient", 50.0): {"induce": 1.0, "bypass": 2.0}}


def test_factor_that_ruins_texts_is_not_chosen():
    weak = {"harmful": "1010", "harmless": "1000"}
    strong = {"harmful": "0000", "harmless": "1110"}
    ruined = [(1, "harmful", 3)]  # one of four
    assert factors([weak, strong], degenerate=ruined)["gradient", 50.0] == {"induce": 2.0, "bypass": 1.0}
    lenient = factors([weak, strong], degenerate=ruined, max_degenerate=0.25)
    assert lenient["gradient", 50.0] == {"induce": 2.0, "bypass": 2.0}


# attack success


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


# retention


def test_retention_by_hand(tmp_path):
    """Harmful: 1, 1/3, 0 at 0, 50, 75 %; harmless: 1, 1, 1/3. Together, of mean successes: 1, 2/3, 1/6."""
    found = retention()
    written(tmp_path, found, "retention")
    assert set(found["dataset"]) == {"harmful", "harmless", POOLED}
    harmful = only(found, dataset="harmful")
    assert (harmful["dense_effect"], harmful["n"]) == (0.75, 4)
    assert harmful["area"] == pytest.approx((50 * (1 + 1 / 3) / 2 + 25 * (1 / 3 + 0) / 2) / 75)
    assert harmful["largest_percent"] == 0
    harmless = only(found, dataset="harmless")
    assert harmless["area"] == pytest.approx((50 * 1 + 25 * (1 + 1 / 3) / 2) / 75)
    assert harmless["largest_percent"] == 50
    pooled = only(found, dataset=POOLED)
    assert (pooled["dense_effect"], pooled["n"]) == (0.75, 8)
    assert pooled["area"] == pytest.approx((50 * (1 + 2 / 3) / 2 + 25 * (2 / 3 + 1 / 6) / 2) / 75)
    assert pooled["largest_percent"] == 50


def test_a_share_of_one_asks_for_the_whole_effect():
    found = retention(retained=1.0)
    assert only(found, dataset="harmless")["largest_percent"] == 50
    assert only(found, dataset=POOLED)["largest_percent"] == 0


def test_vectors_that_do_what_the_dense_one_does_retain_all():
    found = retention([DENSE] * 3)
    for column in ("area", "area_low", "area_high"):
        assert found[column].tolist() == pytest.approx([1] * 3)
    for column in ("largest_percent", "largest_low", "largest_high"):
        assert found[column].tolist() == [75] * 3


def test_vectors_that_do_nothing_retain_the_start_of_the_curve_alone():
    """From 1 at 0 % to 0 at 50 %: a triangle."""
    found = retention([DENSE, BASE, BASE])
    assert found["area"].tolist() == pytest.approx([50 / 2 / 75] * 3)
    assert found["largest_percent"].tolist() == [0] * 3


def test_a_dense_vector_that_changes_nothing_leaves_nothing_to_retain(tmp_path):
    found = written(tmp_path, retention([BASE, HALF, DENSE]), "retention")
    assert (found["dense_effect"] == 0).all()
    bounds = ["area", "area_low", "area_high", "largest_percent", "largest_low", "largest_high"]
    assert found[bounds].isna().all(axis=None)
    one = retention([{**DENSE, "harmful": BASE["harmful"]}, HALF, THREE_QUARTERS])
    assert np.isnan(only(one, dataset="harmful")["area"])
    assert not np.isnan(only(one, dataset="harmless")["area"])
    assert only(one, dataset=POOLED)["dense_effect"] == pytest.approx(0.375)


def test_effects_that_cancel_are_none():
    """Successes of .7 and .1 before, .6 and .2 after: in floating point their means differ, and by nothing else."""
    before = {"harmful": "1" * 3 + "0" * 7, "harmless": "1" * 1 + "0" * 9}
    after = {"harmful": "1" * 4 + "0" * 6, "harmless": "1" * 2 + "0" * 8}
    row = only(retention([after, DENSE_TEN, after], base=before), dataset=POOLED)
    assert abs(row["dense_effect"]) < 1e-12
    assert np.isnan(row["area"])


def test_draws_are_averaged_over_the_prompts_that_they_answer():
    """Of the first two prompts one and none are refused: 3/4 succeed, of dense 1 and unsteered 0."""
    sparse = [
        SPARSE[0],
        *[Sparse("dropout", kept(draw, 3), draw=draw, target_percent=50.0) for draw in (0, 1)],
    ]
    (row,) = (
        found
        for found in retention(
            [DENSE, {"harmful": "01"}, {"harmful": "00"}], sparse, main_sets=["harmful"]
        ).to_dict("records")
        if found["dataset"] == "harmful"
    )
    assert (row["n"], row["dense_effect"]) == (2, 1)
    assert row["area"] == pytest.approx((1 + 0.75) / 2)
    assert row["largest_percent"] == 50


def test_variants_and_parts_stand_aside():
    others = [
        Sparse("shared", kept(0), target_percent=75.0),
        Sparse("unshared", kept(1, 2, 3), target_percent=75.0),
        Sparse("gradient", kept(0, 1), "rescaled", target_percent=50.0),
    ]
    found = retention([*TEXTS, BASE, BASE, BASE], [*SPARSE, *others])
    pd.testing.assert_frame_equal(found, retention())


def test_sets_beside_the_main_ones_are_no_part_of_their_mean():
    with_ood = [{**each, "ood": "0000"} for each in TEXTS]
    found = retention(with_ood, base={**BASE, "ood": "1111"})
    assert only(found, dataset="ood")["area"] == pytest.approx(1)
    pd.testing.assert_series_equal(
        found[found["dataset"] == POOLED].iloc[0], retention().query(f"dataset == '{POOLED}'").iloc[0],
        check_names=False,
    )  # fmt: skip


def test_intervals_hold_their_values_and_repeat_with_the_seed():
    rng = np.random.default_rng(0)

    def letters(share):
        return "".join("1" if value else "0" for value in rng.random(60) < share)

    texts = [{"harmful": letters(0.1), "harmless": letters(0.9)}]
    texts += [
        {"harmful": letters(0.4), "harmless": letters(0.6)},
        {"harmful": letters(0.7), "harmless": "0" * 60},
    ]
    base = {"harmful": letters(0.9), "harmless": "0" * 60}
    found = retention(texts, base=base)
    for name, low, high in (
        ("area", "area_low", "area_high"),
        ("largest_percent", "largest_low", "largest_high"),
    ):
        assert (found[low] <= found[name]).all()
        assert (found[name] <= found[high]).all()
    assert (found["area_low"] < found["area_high"]).all()
    width = found.set_index("dataset")["area_high"] - found.set_index("dataset")["area_low"]
    assert width[POOLED] < width["harmful"]  # twice the prompts
    pd.testing.assert_frame_equal(found, retention(texts, base=base))
    other = retention(texts, base=base, seed=1)
    assert other["area"].tolist() == found["area"].tolist()
    assert other["area_low"].tolist() != found["area_low"].tolist()


# what sparse vectors predict and act through


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


# what methods keep together


def methods():
    """Settings of three methods: a and b keep one of two dimensions together, c none with either."""
    pairs = {"a": (0, 1), "b": (1, 2), "c": (3, 4)}
    return {
        name: settings_table(
            [
                Sparse("none", mask_of(range(6), 6)),
                Sparse("gradient", mask_of(pair, 6), target_percent=60.0),
                Sparse("bottom_k", mask_of((0, 5), 6), target_percent=60.0),
                Sparse("dropout", mask_of((0, 5), 6), target_percent=60.0),
                Sparse("gradient", mask_of((0, 5), 6), "rescaled", target_percent=60.0),
                Sparse("shared", mask_of((0,), 6), target_percent=60.0),
            ]
        )
        for name, pair in pairs.items()
    }


def test_overlaps_by_hand(tmp_path):
    found = overlap_table(methods(), d_model=6)
    written(tmp_path, found, "iou")
    pairs = list(zip(found["method_a"], found["method_b"], found["criterion"], strict=True))
    assert sorted(pairs) == [
        (a, b, criterion) for a, b in ("ab", "ac", "bc") for criterion in ("bottom_k", "gradient")
    ]
    row = only(found, method_a="a", method_b="b", criterion="gradient")
    assert (row["n_a"], row["n_b"], row["n_shared"]) == (2, 2, 1)
    assert row["iou"] == pytest.approx(1 / 3)
    assert row["chance"] == chance_iou(2, 2, 6)
    assert row["p_value"] == pytest.approx(1 - 6 / 15)  # of 15 pairs, 6 lie among the other four
    assert row["sparsity_percent"] == pytest.approx(100 * 4 / 6)
    assert only(found, method_a="a", method_b="c", criterion="gradient")["iou"] == 0
    same = found[found["criterion"] == "bottom_k"]
    assert same["iou"].tolist() == [1] * 3
    assert same["p_value"].tolist() == pytest.approx([1 / 15] * 3)


def test_p_values_are_adjusted_over_the_whole_table():
    found = overlap_table(methods(), d_model=6)
    assert found["p_adjusted"].tolist() == adjusted_p_values(list(found["p_value"]))
    assert found["p_adjusted"].min() == pytest.approx(6 / 15)  # the least of six


def test_overlap_at_a_threshold_pairs_methods_of_different_sparsity(tmp_path):
    """A threshold of the gradient leaves more of one method than of another; each is told by its threshold."""
    both = {
        "a": settings_table(
            [
                Sparse("gradient", mask_of((0, 1, 2), 6), threshold=0.5),
                Sparse("gradient", mask_of((0,), 6), threshold=1.0),
                Sparse("gradient", mask_of((0, 1), 6), target_percent=60.0),
            ]
        ),
        "b": settings_table(
            [
                Sparse("gradient", mask_of((0, 1, 2, 3, 4), 6), threshold=0.5),
                Sparse("gradient", mask_of((5,), 6), threshold=2.0),
            ]
        ),
    }
    found = written(tmp_path, overlap_table(both, d_model=6), "iou")
    (row,) = found.to_dict("records")
    assert (row["n_a"], row["n_b"], row["n_shared"], row["threshold"]) == (3, 5, 3, 0.5)
    assert row["sparsity_percent"] == pytest.approx((50 + 100 / 6) / 2)
    assert row["p_value"] == pytest.approx(overlap_p_value(3, 3, 5, 6))


def test_rows_in_which_nothing_could_be_found_are_no_part_of_the_family():
    """Thresholds that drop nothing, everything, or what another drops leave the adjusted p-values of the others alone."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(2, 40))
    vectors = {
        name: shared + 0.2 * rng.normal(size=(2, 40)) for name in "ab"
    }  # what they keep is much the same

    def overlaps(thresholds):
        settings = {
            name: settings_table(plain_vectors(*each, Grid([], thresholds, draws=2), seed=0))
            for name, each in vectors.items()
        }
        return overlap_table(settings, d_model=40).set_index(["criterion", "threshold"])

    alone, among = overlaps([0.5, 1.0]), overlaps([0.0, 0.5, 1.0, 1.0 + 1e-9, 1000.0, 2000.0])
    assert (alone["p_adjusted"] < 1).any()
    assert among.loc[alone.index, "p_adjusted"].tolist() == alone["p_adjusted"].tolist()
    for criterion in ("gradient", "indirect_effect", "bottom_k"):
        assert (among.loc[[(criterion, 0.0), (criterion, 1000.0)], "p_adjusted"] == 1).all()
        same = among.loc[[(criterion, 1.0), (criterion, 1.0 + 1e-9)], "p_adjusted"]
        assert same.nunique() == 1
    assert (overlaps_near(among.reset_index(), 100.0)["n_a"] > 0).all()


def test_overlap_is_symmetric():
    there = overlap_table({name: methods()[name] for name in "ab"}, d_model=6)
    back = overlap_table({name: methods()[name] for name in "ba"}, d_model=6)
    columns = ["criterion", "n_shared", "iou", "chance", "p_value", "p_adjusted"]
    pd.testing.assert_frame_equal(there[columns], back[columns])


def test_one_method_has_no_overlap(tmp_path):
    assert len(written(tmp_path, overlap_table({"a": methods()["a"]}, d_model=6), "iou")) == 0


def test_shared_dimensions_by_hand(tmp_path):
    """Three methods that keep 4 of 8: half of a half of a half of them are expected in common."""
    masks = {"a": mask_of((0, 1, 2, 3), 8), "b": mask_of((1, 2, 3, 4), 8), "c": mask_of((2, 3, 6, 7), 8)}
    few = {name: mask_of((i,), 8) for i, name in enumerate(masks)}
    found = shared_table({50.0: masks, 87.5: few}, d_model=8)
    table = written(tmp_path, found, "shared_dimensions")
    assert [list(dimensions) for dimensions in table["dimensions"]] == [[2, 3], []]
    assert table["n_shared"].tolist() == [2, 0]
    assert table["n_kept"].tolist() == [4, 1]
    assert table["n_methods"].tolist() == [3, 3]
    assert table["chance"].tolist() == pytest.approx([8 / 8, 8 / 8**3])
    assert table["p_value"].tolist() == pytest.approx([joint_p_value(2, [4, 4, 4], 8), 1])
    assert 0 < table["p_value"][0] < 1


def test_settings_of_a_grid_pass_their_schema_and_overlap_with_themselves(tmp_path):
    vector, effects = np.random.default_rng(0).normal(size=(2, 40))
    sparse = plain_vectors(vector, effects, Grid([50.0, 90.0], [0.3], draws=2), seed=0)
    table = written(tmp_path, settings_table(sparse), "sparse_settings")
    found = overlap_table({"a": table, "b": table}, d_model=40)
    assert len(found) == 9  # three criteria that draw nothing, at three sparsities
    assert (found["iou"] == 1).all()
