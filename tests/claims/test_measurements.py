"""Each measurement on small frames whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom
from tests.attention.frames import decompositions
from tests.circuits.frames import circuit_summaries
from tests.sparsity.frames import sparsity_summaries

from steering_study.claims.criteria import Part
from steering_study.claims.measurements import MEASUREMENTS, TABLES, measure_all
from steering_study.claims.quantities import Setting, averaged_ablations

SETTING = Setting(
    main_sets={"harmful": "harmful", "harmless": "harmless"}, unseen_sets=["ood"], confidence=0.95, seed=0
)


def measure(name: str, **tables: pd.DataFrame) -> dict[str, Part]:
    return {part.name: part for part in MEASUREMENTS[name].measure(tables, SETTING)}


@pytest.fixture(scope="module")
def circuits():
    return circuit_summaries(("dim", "ntp"))


# attack success


@pytest.fixture
def asr():
    rows = [
        ("none", "base", "harmless", 0.99),
        ("none", "base", "harmful", 0.02),
        ("none", "base", "ood", 0.05),
        ("dim", "induce", "harmless", 0.1),
        ("dim", "bypass", "harmful", 0.7),
        ("dim", "bypass", "ood", 0.6),
        ("dim", "bypass", "borderline_harmful", 0.2),
        ("po", "bypass", "harmful", 0.5),
        ("random", "bypass", "harmful", 0.03),
    ]
    table = pd.DataFrame(rows, columns=["method", "condition", "dataset", "asr"])
    return table.assign(asr_low=table["asr"] - 0.01, asr_high=table["asr"] + 0.02, n=100)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unsteered_harmless", {"none": 99}),
        ("unsteered_harmful", {"none": 2}),
        ("steered_harmless", {"dim": 10}),
        ("steered_harmful", {"dim": 70, "po": 50}),  # and no control
        ("steered_unseen", {"dim": 60}),  # borderline prompts are none of them
    ],
)
def test_attack_success_in_percent(asr, name, expected):
    found = measure(name, asr=asr)
    assert {method: part.value for method, part in found.items()} == pytest.approx(expected)
    for part in found.values():
        assert (part.low, part.high, part.n) == pytest.approx((part.value - 1, part.value + 2, 100))


# vectors


def test_cosines_of_pairs_of_methods_once_and_without_controls():
    names = ("dim", "po", "random")
    table = pd.DataFrame(
        [{"method_a": a, "method_b": b, "cosine": 1.0 if a == b else 0.3} for a in names for b in names]
    )
    found = measure("cosine", cosine=table)
    assert list(found) == ["dim & po"]
    assert found["dim & po"].value == 0.3
    assert found["dim & po"].interval == (0.3, 0.3)


# circuits


def curve(points: dict[int, tuple[float, float, float]]) -> pd.DataFrame:
    """Own circuits of DIM, the same on both test sets."""
    table = pd.DataFrame(
        [
            (dataset, size, size / 1000, value, low, high)
            for size, (value, low, high) in points.items()
            for dataset in ("harmful", "harmless")
        ],
        columns=["dataset", "n_edges", "share_of_edges", "faithfulness", "low", "high"],
    )
    table = table.assign(vector_method="dim", circuit_method="dim", kind="own")
    return table.assign(nominal_edges=table["n_edges"], n=5)


def test_size_of_the_circuit_with_the_sizes_that_may_and_that_surely_do():
    points = {50: (0.5, 0.4, 0.6), 100: (0.8, 0.7, 0.95), 200: (0.9, 0.7, 1.0)}
    table = curve({**points, 300: (0.95, 0.93, 1.0), 1000: (1, 1, 1)})
    part = measure("circuit_size", faithfulness=table)["dim"]
    # half-widths of a mean of two are those of one over the root of two: 0.8 + 0.106, 0.9 - 0.141, 0.95 - 0.014
    assert (part.value, part.low, part.high, part.n) == pytest.approx((20, 10, 30, 10))


def test_size_is_the_one_that_the_study_marks(circuits):
    table = circuits["faithfulness"]
    smallest = table[table["minimum"]].groupby("vector_method")["share_of_edges"].first()
    found = measure("circuit_size", faithfulness=table)
    assert {name: part.value for name, part in found.items()} == pytest.approx(dict(100 * smallest))


def test_a_grid_without_a_faithful_circuit_has_no_size():
    assert measure("circuit_size", faithfulness=curve({50: (0.5, 0.4, 0.6)})) == {}


def test_circuits_beside_are_averaged_over_sets_and_draws(circuits):
    table = circuits["faithfulness"]
    random = measure("random_circuit", faithfulness=table)
    own = table[(table["kind"] == "random") & (table["vector_method"] == "dim")]
    assert own["draw"].nunique() == 2
    assert random["dim"].value == pytest.approx(own["faithfulness"].mean())
    assert set(measure("complement", faithfulness=table)) == {"dim", "ntp"}
    assert set(measure("interchange", faithfulness=table)) == {"dim in ntp", "ntp in dim"}


def test_overlap_is_that_of_the_minimum_faithful_circuits(circuits):
    found = measure("circuit_overlap", **circuits)
    smallest = circuits["faithfulness"].query("minimum").groupby("vector_method")["n_edges"].first()
    table = circuits["overlap"].set_index(["method_a", "method_b", "n_edges_a", "n_edges_b"])
    row = table.loc[[("dim", "ntp", smallest["dim"], smallest["ntp"])]]
    assert len(row) == 1
    part = found["dim & ntp"]
    overlap, chance = row["overlap"].iloc[0], row["chance"].iloc[0]
    assert (part.value, part.chance) == pytest.approx((100 * overlap, 100 * chance))
    n_shared, n_edges = (
        round(overlap * min(smallest)),
        circuits["edge_census"].query("end == 'in'")["edges"].sum(),
    )
    assert part.p_value == pytest.approx(
        hypergeom.sf(n_shared - 1, n_edges, smallest["dim"], smallest["ntp"])
    )


def test_edges_and_their_shares(circuits):
    census = pd.DataFrame(
        [
            ("in", "attn_q", 60),
            ("in", "attn_k", 20),
            ("in", "mlp", 20),
            ("out", "mlp", 30),
            ("out", "attn_head", 70),
        ],
        columns=["end", "node_kind", "edges"],
    )
    rows = [
        ("attn_q", "in", 1),
        ("attn_k", "in", 2),
        ("mlp", "in", 7),
        ("mlp", "out", 4),
        ("attn_head", "out", 6),
    ]
    shares = pd.DataFrame(rows, columns=["node_kind", "end", "edges"])
    shares = shares.assign(method="dim", scope="top_edges", percent=10.0 * shares["edges"])
    shares = pd.concat([shares, shares.head(1).assign(scope="circuit")])
    assert measure("graph_edges", edge_census=census)["graph"].value == 100
    into = measure("top_into_qk", edge_census=census, edge_shares=shares)["dim"]
    assert (into.value, into.chance, into.n) == pytest.approx((30, 80, 10))
    assert into.p_value == pytest.approx(hypergeom.cdf(3, 100, 80, 10))  # so few
    out = measure("top_out_of_mlps", edge_census=census, edge_shares=shares)["dim"]
    assert (out.value, out.chance) == pytest.approx((40, 30))
    assert out.p_value == pytest.approx(hypergeom.sf(3, 100, 30, 10))  # so many


def test_positions_are_counted_over_all_patching_sets():
    table = pd.DataFrame(
        [("dim", "logit_difference", 10, 40), ("dim", "logit_difference", 20, 60), ("dim", "kl_0", 99, 100)],
        columns=["method", "metric", "n_positions", "n_tokens"],
    )
    part = measure("changed_positions", completeness=table)["dim"]
    assert (part.value, part.n) == (30, 100)


# attention


def ablations(**changes: tuple[float, float]) -> pd.DataFrame:
    """Changes on harmful and harmless prompts, each with an interval of ten points to both sides."""
    rows = [
        (method, scope, name, dataset, value)
        for name, values in changes.items()
        for method, scope in (("dim", "all"), ("dim", "prompt"), ("ntp", "all"))
        for dataset, value in zip(("harmful", "harmless", "ood"), (*values, 0.0), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["method", "scope", "ablation", "dataset", "change_points"])
    is_other = (table["method"] == "ntp") | (table["scope"] != "all") | (table["dataset"] == "ood")
    points = table["change_points"] + 50 * is_other
    return table.assign(n=30, change_points=points, change_low=points - 10, change_high=points + 10)


def test_points_of_dim_are_averaged_over_the_main_sets():
    part = measure("qk", ablations=ablations(qk=(4.0, 16.0)))["dim"]
    assert (part.value, part.n) == (10, 60)
    assert (part.low, part.high) == pytest.approx((10 - 10 / math.sqrt(2), 10 + 10 / math.sqrt(2)))
    assert measure("qk", ablations=ablations(ov=(4.0, 16.0))) == {}


def test_share_of_the_vector_in_values():
    part = measure("svv_of_ov", ablations=ablations(svv=(30.0, 50.0), ov=(70.0, 90.0)))["dim"]
    assert part.value == pytest.approx(50)
    assert 35 < part.low < 50 < part.high < 65
    assert (
        measure("svv_of_ov", ablations=ablations(svv=(1.0, 1.0), ov=(5.0, 5.0))) == {}
    )  # ov may take nothing
    assert measure("svv_of_ov", ablations=ablations(ov=(5.0, 5.0))) == {}


def test_means_of_the_study_are_taken_for_dim_at_all_positions():
    rows = [
        ("dim", "all", "qk", 5.0),
        ("dim", "prompt", "qk", 50.0),
        ("ntp", "all", "qk", 60.0),
        ("dim", "all", "q", 1.0),
    ]
    table = pd.DataFrame(rows, columns=["method", "scope", "ablation", "change_points"])
    table = table.assign(change_low=1.0, change_high=9.0, n=144)
    assert averaged_ablations(table) == {"qk": Part("dim", 5.0, 1.0, 9.0, n=144)}


def test_concepts_are_read_by_the_sign_of_the_effect():
    heads = [
        ("a4.h0", 1.0, 1, 0.6),
        ("a4.h0", 1.0, -1, 0.0),
        ("a4.h1", -1.0, 1, 0.0),
        ("a4.h1", -1.0, -1, 0.2),
    ]
    others = [("a4.h2", 0.1, 1, 1.0), ("vector", math.nan, 1, 1.0)]  # not listed, and no head
    concepts = pd.DataFrame([*heads, *others], columns=["source", "ie", "sign", "concept_score"])
    concepts = concepts.assign(method="dim", chance=0.05)
    tokens = pd.DataFrame({"method": "dim", "source": ["a4.h0", "a4.h1", "vector", "sum"]})
    part = measure("svv_concepts", svv_concepts=concepts, svv_tokens=tokens)["dim"]
    assert (part.value, part.chance, part.n) == pytest.approx((40, 5, 2))
    assert (part.low, part.high) == pytest.approx((20, 60))


# sparse vectors


def retention(**changed: object) -> pd.DataFrame:
    row = {"method": "dim", "criterion": "gradient", "dataset": "main sets", "n": 60, "retained": 0.9}
    row |= {"area": 0.8, "area_low": 0.7, "area_high": 0.9}
    row |= {"largest_percent": 80.0, "largest_low": 50.0, "largest_high": 90.0}
    other = {**row, "dataset": "harmful", "area": 0.1, "largest_percent": 1.0}
    return pd.DataFrame([{**row, **changed}, other, {**row, "criterion": "dropout", "area": 0.4}])


def test_sparsity_is_read_on_the_mean_of_the_main_sets():
    part = measure("largest_sparsity", retention=retention())["dim"]
    assert (part.value, part.low, part.high, part.n) == (80, 50, 90, 60)
    assert measure("gradient_area", retention=retention())["dim"].value == 0.8
    assert measure("dropout_area", retention=retention())["dim"].value == 0.4
    assert math.isnan(measure("largest_sparsity", retention=retention(largest_percent=math.nan))["dim"].value)


def test_another_share_that_counts_as_kept_is_another_quantity():
    assert measure("largest_sparsity", retention=retention(retained=0.5)) == {}


def test_overlap_of_dimensions_is_read_near_nine_tenths():
    rows = [
        ("gradient", 50.0, 0.5),
        ("gradient", 89.0, 0.3),
        ("gradient", 99.0, 0.1),
        ("bottom_k", 90.0, 0.9),
    ]
    table = pd.DataFrame(rows, columns=["criterion", "sparsity_percent", "iou"])
    table = table.assign(method_a="ntp", method_b="dim", n_a=13, n_b=14, chance=0.05, p_adjusted=0.01)
    part = measure("shared_dimensions", iou=table)["dim & ntp"]
    assert (part.value, part.chance, part.p_value, part.n) == (0.3, 0.05, 0.01, 13)


# all of them


@pytest.fixture(scope="module")
def tables(circuits):
    rng = np.random.default_rng(0)
    made = {**circuits, **sparsity_summaries(("dim", "ntp"), rng), **decompositions(("dim", "ntp"), rng)}
    return {name: made[name] for each in MEASUREMENTS.values() for name in each.tables if name in made}


def test_every_measurement_takes_the_study_s_tables(tables):
    found = measure_all(tables, dict.fromkeys(tables, "a_rule"), SETTING)
    assert list(found) == list(MEASUREMENTS)
    for name, quantity in found.items():
        made = set(MEASUREMENTS[name].tables) <= set(tables)
        assert bool(quantity.parts) == made, name
        assert quantity.rules == (("a_rule",) if made else ())


def test_a_table_that_the_study_does_not_make_is_named(tables):
    found = measure_all(tables, dict.fromkeys(tables, "a_rule"), SETTING)
    assert found["qk"].reason == "this study makes no table ablations"


def test_one_method_has_no_pairs():
    alone = circuit_summaries(("dim",))
    found = measure_all(alone, dict.fromkeys(alone, "a_rule"), SETTING)
    assert found["circuit_overlap"].reason == found["interchange"].reason == "it takes two methods"
    assert found["circuit_size"].parts


def test_tables_of_measurements_are_tables_of_the_study():
    assert {name for each in MEASUREMENTS.values() for name in each.tables} <= set(TABLES)
