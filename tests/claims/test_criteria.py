"""Criteria, verdicts and averages, by hand; the list of claims against the published tables."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering_study.claims.criteria import (
    FAILS,
    HOLDS,
    PARTLY,
    PUBLISHED,
    SLIP,
    UNTESTED,
    Claim,
    Condition,
    Part,
    Quantity,
    average_claims,
    judge_claims,
    judge_part,
    parse_criterion,
    put_together,
    read_claims,
    whole_of,
)
from steering_study.claims.measurements import MEASUREMENTS
from steering_study.claims.schemas import CLAIM_MEANS, CLAIMS
from steering_study.sparsity.section import published_retention
from steering_study.store.artifacts import read_table, write_table

ROOT = Path(__file__).parents[2]
LIST = ROOT / "resources/paper/claims.csv"
LISTED = read_claims(LIST, MEASUREMENTS)
BY_ID = {claim.id: claim for claim in LISTED}
MEASURES = ("a", "b")


def claim(criterion: str = "at_most 20", **given: str) -> Claim:
    filled = {name: "" for name in Claim.__dataclass_fields__}
    return Claim(**{**filled, "id": "c", "measure": "a", "criterion": criterion, **given})


def verdict(criterion: str, part: Part, *others: Part) -> str | None:
    return judge_part(parse_criterion(criterion), part, {"b": Quantity(others)}, confidence=0.95)


# the grammar


def test_criterion_becomes_conditions():
    (within,) = parse_criterion("within 0.15 of 0")
    assert within == Condition("within", limit=0.0, distance=0.15)
    first, second = parse_criterion("at_least -4.5 and more_than chance")
    assert (first.relation, first.limit) == ("at_least", -4.5)
    assert (second.relation, second.reference) == ("more_than", "chance")


@pytest.mark.parametrize(
    "criterion",
    [
        "atmost 20",
        "at_most",
        "at_most x",
        "within 3",
        "more_than 5",
        "at_most 1 or at_least 2",
        "at_most 1 and",
        "",
    ],
)
def test_criterion_outside_the_grammar_is_refused(criterion):
    with pytest.raises(
        ValueError,
        match=r"expected one of at_most X, at_least X, within D of X, more_than NAME, less_than NAME",
    ):
        parse_criterion(criterion)


@pytest.mark.parametrize("value", ["", "8.75", ">=90", "<0.1", "~0", "0.1..0.42", "-3"])
def test_printed_values(value):
    assert PUBLISHED.fullmatch(value)


@pytest.fixture
def listed(tmp_path):
    """Reads a list with one changed row."""

    def read(**changed: str):
        row = vars(claim(**{"value": "8.75", **changed}))
        path = tmp_path / "claims.csv"
        pd.DataFrame([row]).to_csv(path, index=False)
        return read_claims(path, MEASURES)

    return read


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"criterion": "atmost 20"}, "criterion 'atmost 20' has 'atmost 20', expected one of at_most X"),
        ({"criterion": "more_than c"}, "criterion names 'c', expected chance or one of a, b"),
        ({"measure": "c"}, "measure 'c' is unknown, expected one of a, b"),
        ({"value": "about 9"}, "value 'about 9' is no number"),
        ({"slip": "impossible"}, "a slip has no criterion"),
        ({"untested": "no reason"}, "expected a measure and a criterion, or the reason why it is untested"),
        ({"criterion": ""}, "expected a measure and a criterion, or the reason why it is untested"),
        ({"measure": ""}, "expected a measure and a criterion, or the reason why it is untested"),
    ],
)
def test_a_mistake_in_the_list_is_one_line_that_names_it(listed, changed, message):
    with pytest.raises(ValueError, match=message) as error:
        listed(**changed)
    assert str(error.value).startswith("claims.csv, c: ")
    assert str(error.value).endswith("docs/claims.md explains the columns")


def test_wrong_columns_and_repeated_ids_are_refused(tmp_path):
    path = tmp_path / "claims.csv"
    rows = pd.DataFrame([vars(claim())] * 2)
    rows.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"claims\.csv: id 'c' stands twice"):
        read_claims(path, MEASURES)
    rows.drop(columns="slip").to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"claims\.csv has columns"):
        read_claims(path, MEASURES)


# the verdict on a part


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("at_most 20", HOLDS),
        ("at_most 15", HOLDS),
        ("at_most 12", PARTLY),
        ("at_most 9", FAILS),
        ("at_least 5", HOLDS),
        ("at_least 8", PARTLY),
        ("at_least 11", FAILS),
        ("within 5 of 10", HOLDS),
        ("within 3 of 10", PARTLY),
        ("within 3 of 20", FAILS),
        ("at_most 20 and at_least 8", PARTLY),
        ("at_most 20 and at_least 11", FAILS),
    ],
)
def test_verdict_by_a_number(criterion, expected):
    assert verdict(criterion, Part("dim", 10.0, 5.0, 15.0)) == expected


def test_what_is_counted_is_judged_by_the_number_alone():
    assert verdict("at_most 10", Part("dim", 10.0)) == HOLDS
    assert verdict("at_most 9", Part("dim", 10.0)) == FAILS


@pytest.mark.parametrize(
    ("other", "more", "less"),
    [
        (Part("dim", 3.0, 1.0, 4.0), HOLDS, FAILS),
        (Part("dim", 3.0, 1.0, 5.0), PARTLY, FAILS),  # intervals touch
        (Part("dim", 10.0, 8.0, 12.0), FAILS, FAILS),
        (Part("dim", 12.0, 9.0, 16.0), FAILS, PARTLY),
        (Part("dim", 20.0, 16.0, 24.0), FAILS, HOLDS),
    ],
)
def test_verdict_by_another_measurement(other, more, less):
    part = Part("dim", 10.0, 5.0, 15.0)
    assert verdict("more_than b", part, other) == more
    assert verdict("less_than b", part, other) == less


def test_methods_are_compared_each_with_its_own():
    others = (Part("dim", 20.0), Part("ntp", 1.0))
    assert verdict("more_than b", Part("dim", 10.0), *others) == FAILS
    assert verdict("more_than b", Part("ntp", 10.0), *others) == HOLDS
    assert verdict("more_than b", Part("po", 10.0), *others) is None
    assert verdict("more_than b", Part("dim", 10.0), Part("dim", math.nan)) is None


def test_chance_by_interval_or_by_p_value():
    part = Part("dim", 10.0, 5.0, 15.0)
    assert verdict("more_than chance", replace(part, chance=4.0)) == HOLDS
    assert verdict("more_than chance", replace(part, chance=6.0)) == PARTLY
    assert verdict("more_than chance", replace(part, chance=11.0)) == FAILS
    assert verdict("more_than chance", part) is None
    for p_value, expected in ((0.01, HOLDS), (0.2, PARTLY)):
        assert verdict("more_than chance", Part("dim", 10.0, chance=4.0, p_value=p_value)) == expected


@given(st.floats(-100, 100), st.floats(0, 50), st.floats(0, 50), st.floats(-100, 100))
def test_a_narrower_interval_never_says_less(value, below, above, limit):
    """As the interval shrinks to its estimate, `in part` becomes `holds`, and nothing else changes."""
    wide = verdict(f"at_most {limit:.6f}", Part("dim", value, value - below, value + above))
    narrow = verdict(f"at_most {limit:.6f}", Part("dim", value))
    assert narrow == (HOLDS if wide in (HOLDS, PARTLY) else FAILS)


# the claim as a whole


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, FAILS], PARTLY),
        ([HOLDS, PARTLY], PARTLY),
        ([PARTLY, FAILS], PARTLY),
        ([FAILS, FAILS], FAILS),
        ([HOLDS, UNTESTED], HOLDS),
        ([UNTESTED], UNTESTED),
        ([], UNTESTED),
    ],
)
def test_parts_together(parts, expected):
    assert put_together(parts) == expected


def test_whole_is_the_mean_of_the_parts_with_the_mean_of_their_intervals():
    found = whole_of(
        [Part("dim", 1.0, 0.0, 3.0, n=10), Part("ntp", 3.0, 2.0, 4.0, n=20), Part("po", math.nan)]
    )
    assert (found.value, found.low, found.high, found.n) == (2.0, 1.0, 3.5, 30)
    assert math.isnan(whole_of([Part("dim", 1.0, 0.0, 3.0), Part("ntp", 3.0)]).low)
    assert math.isnan(whole_of([]).value)


def judged(*claims: Claim, model: str = "m", **quantities: Quantity) -> pd.DataFrame:
    table = judge_claims(claims, quantities, model=model, confidence=0.95)
    return table.set_index(["claim", "part"])


def test_methods_that_disagree_make_a_claim_hold_in_part(tmp_path):
    parts = (Part("dim", 10.0, 5.0, 15.0, n=8), Part("ntp", 30.0, 25.0, 35.0, n=8))
    quantity = Quantity(parts, tables=("ablations",), rules=("summarise_ablations",))
    table = judged(claim(), a=quantity)
    assert list(table["verdict"]) == [PARTLY, HOLDS, FAILS]
    assert list(table["value"]) == [20.0, 10.0, 30.0]
    assert table.loc[("c", ""), "tables"] == ["ablations"]
    write_table(tmp_path / "claims.parquet", table.reset_index(), CLAIMS)
    assert len(read_table(tmp_path / "claims.parquet", CLAIMS)) == 3


def test_a_slip_is_measured_and_gets_no_verdict():
    table = judged(claim("", slip="impossible"), a=Quantity((Part("dim", 10.0, 5.0, 15.0),)))
    assert list(table["verdict"]) == [SLIP, SLIP]
    assert list(table["value"]) == [10.0, 10.0]


@pytest.mark.parametrize(
    ("listed_claim", "quantity", "note"),
    [
        (claim(), Quantity((), "this study makes no table asr"), "this study makes no table asr"),
        (claim(model="other"), Quantity((Part("dim", 1.0),)), "said of other alone"),
        (claim("", measure="", untested="nobody knows"), Quantity(()), "nobody knows"),
        (claim(), Quantity((Part("dim", math.nan),)), "no value of dim"),
        (claim("more_than b"), Quantity((Part("po", 1.0),)), "no value of po, or none of b"),
    ],
)
def test_what_is_not_tested_says_why(listed_claim, quantity, note):
    table = judged(listed_claim, a=quantity, b=Quantity(()))
    whole = table.loc[("c", "")]
    assert (whole["verdict"], whole["note"]) == (UNTESTED, note)


def test_a_method_without_a_value_is_named_and_the_others_decide():
    table = judged(claim(), a=Quantity((Part("dim", 1.0), Part("po", math.nan))))
    assert table.loc[("c", ""), ["verdict", "note"]].tolist() == [HOLDS, "no value of po"]
    assert table.loc[("c", "po"), "verdict"] == UNTESTED


def test_what_a_claim_is_compared_with_stands_in_the_table():
    table = judge_claims(
        [claim("more_than b")],
        {"a": Quantity((Part("dim", 2.0),)), "b": Quantity((Part("dim", 1.0),))},
        model="m",
        confidence=0.95,
    )
    beside = table[table["claim"] == ""]
    assert beside[["measure", "part", "value", "verdict"]].values.tolist() == [["b", "dim", 1.0, ""]]


# models together


def of_model(value: float, low: float, high: float, **changed: str) -> pd.DataFrame:
    given = claim(**changed)
    quantity = Quantity((Part("dim", value, low, high, n=10),))
    return judge_claims([given], {"a": quantity}, model="m", confidence=0.95)


def test_average_of_models_and_their_common_verdict(tmp_path):
    means = average_claims({"x": of_model(10.0, 7.0, 15.0), "y": of_model(20.0, 16.0, 32.0)}, {})
    row = means.iloc[0]
    assert (row["value"], row["n_models"], row["n"], row["verdict"]) == (15, 2, 20, PARTLY)
    assert (row["low"], row["high"]) == pytest.approx(((7 + 16) / 2, (15 + 32) / 2))  # errors may go together
    write_table(tmp_path / "claims.parquet", means, CLAIM_MEANS)


def test_average_of_another_rule_takes_the_place_of_ours():
    tables = {"x": of_model(10.0, 7.0, 15.0), "y": of_model(20.0, 16.0, 32.0)}
    row = average_claims(tables, {"a": Part("dim", 15.0, 11.0, 19.0)}).iloc[0]
    assert (row["low"], row["high"]) == (11, 19)


def test_models_without_a_value_are_left_out_of_the_average():
    tables = {"x": of_model(10.0, 7.0, 15.0), "y": of_model(math.nan, math.nan, math.nan)}
    row = average_claims(tables, {"a": Part("dim", 15.0, 11.0, 19.0)}).iloc[0]
    assert (row["value"], row["n_models"], row["verdict"]) == (10, 1, HOLDS)
    nothing = average_claims({"y": tables["y"]}, {}).iloc[0]
    assert (nothing["n_models"], nothing["verdict"], nothing["note"]) == (0, UNTESTED, "no value of dim")


def test_a_slip_stays_one_on_average():
    row = average_claims({"x": of_model(10.0, 7.0, 15.0, criterion="", slip="impossible")}, {}).iloc[0]
    assert (row["value"], row["verdict"]) == (10, SLIP)


# the list itself, against the published tables


def printed(name: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / f"resources/paper/{name}.csv")


def mean_asr(dataset: str, *, is_steered: bool = True) -> float:
    table = printed("table2_attack_success_rate")
    return (
        100 * table[(table["dataset"] == dataset) & ((table["method"] != "none") == is_steered)]["asr"].mean()
    )


def shares(scope: str, end: str, *kinds: str, model: str | None = None) -> pd.Series:
    table = printed("table5_8_edge_distribution")
    table = table[(table["scope"] == scope) & (table["end"] == end) & table["node_kind"].isin(kinds)]
    by_vector = table.groupby(["model", "method"])["percent"].sum()
    return by_vector.loc[model] if model else by_vector


def points(ablation: str) -> float:
    return printed("table1_average_change").set_index("ablation").loc[ablation, "mean_of_cells"]


def retention(criterion: str) -> pd.Series:
    sparse, asr = printed("table10_11_sparsification"), printed("table2_attack_success_rate")
    table = published_retention(sparse, asr, ["harmful", "harmless"], retained=0.9)
    return (
        table[table["criterion"] == criterion]
        .set_index("published_model")
        .loc["mean"][["area", "largest_percent"]]
        .mean()
    )


def all_edges(model: str) -> int:
    return printed("minimum_circuits").set_index("model").loc[[model], "all_edges"].iloc[0]


def changed_positions() -> float:
    positions = printed("table9_metric_positions").set_index("metric")["positions"]
    return 100 * positions["logit_difference"] / positions.max()


def positions_of_ntp() -> float:
    sizes = printed("table3_patching_dataset_sizes")
    return sizes.query("model == @GEMMA and method == 'ntp' and prompts == 'harmless'")["positions"].mean()


def printed_svv() -> float:
    return printed("table1_average_change").set_index("ablation").loc["svv", "mean_change_points"]


GEMMA, LLAMA = "gemma-2-2b-it", "llama-3.2-3b-instruct"
# Published numbers by measurement, from the tables, of all vectors and models or as the claim's place says
FROM_TABLES = {
    "unsteered_answered": lambda: mean_asr("alpaca", is_steered=False),
    "unsteered_refused": lambda: mean_asr("jailbreakbench", is_steered=False),
    "induced": lambda: mean_asr("alpaca"),
    "bypassed": lambda: mean_asr("jailbreakbench"),
    "bypassed_unseen": lambda: mean_asr("strongreject"),
    "graph_gemma": lambda: all_edges(GEMMA),
    "graph_llama": lambda: all_edges(LLAMA),
    "top_out_of_mlps": lambda: shares("top_edges", "out", "mlp").mean(),
    "circuit_out_of_mlps": lambda: shares("circuit", "out", "mlp", model=GEMMA).mean(),
    "circuit_out_of_mlps_llama": lambda: shares("circuit", "out", "mlp", model=LLAMA)[["dim", "ntp"]].mean(),
    "top_into_mlps": lambda: shares("top_edges", "in", "mlp").mean(),
    "circuit_into_mlps": lambda: shares("circuit", "in", "mlp", model=GEMMA).mean(),
    "circuit_into_mlps_llama": lambda: shares("circuit", "in", "mlp", model=LLAMA).mean(),
    "top_into_qk": lambda: shares("top_edges", "in", "attn_q", "attn_k").mean(),
    "circuit_into_qk": lambda: shares("circuit", "in", "attn_q", "attn_k", model=GEMMA).mean(),
    "circuit_into_qk_llama": lambda: shares("circuit", "in", "attn_q", "attn_k", model=LLAMA).mean(),
    "positions": changed_positions,
    "positions_ntp": positions_of_ntp,
    "qk": lambda: points("qk"),
    "ov": lambda: points("ov"),
    "svv_printed": printed_svv,
    "svv": lambda: points("svv"),
    "svv_of_ov": lambda: 100 * points("svv") / points("ov"),
    "mlp": lambda: points("mlp"),
    "sparse_gradient": lambda: retention("gradient")["largest_percent"],
    "sparse_bottom_k": lambda: retention("bottom_k")["area"],
    "sparse_dropout": lambda: retention("dropout")["area"],
}
IN_WORDS = {
    "cosines",
    "steered_edges_gemma",
    "steered_edges_llama",
    "circuit_size",
    "circuit_overlap",
    "random_circuit",
    "complement",
}


def test_every_printed_value_is_that_of_the_tables_or_stands_in_words():
    assert {each.id for each in LISTED if each.value} == set(FROM_TABLES) | IN_WORDS


@pytest.mark.parametrize("name", FROM_TABLES)
def test_printed_value_is_that_of_the_tables(name):
    value = BY_ID[name].value
    decimals = len(value.partition(".")[2])
    assert float(value) == pytest.approx(FROM_TABLES[name](), abs=0.5 * 10**-decimals + 1e-9)  # as rounded


def test_printed_circuit_sizes_are_those_of_the_table():
    table = printed("minimum_circuits")
    percents = 100 * table["edges"] / table["all_edges"]
    least, most = map(float, BY_ID["circuit_size"].value.split(".."))
    assert (least, most) == pytest.approx((percents.min(), percents.max()), abs=0.05)


def ends_of(value: str) -> tuple[float, float]:
    _, number, least, most = PUBLISHED.fullmatch(value).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return (float(least), float(most)) if least else (float(number), float(number))


def census_share(kinds: tuple[str, ...], end: str) -> float:
    table = printed("edge_counts").query("end == @end")
    part = (
        table[table["node_kind"].isin(kinds)].groupby("model")["edges"].sum()
        / table.groupby("model")["edges"].sum()
    )
    return 100 * part.mean()


PUBLISHED_BESIDE = {
    "qk": lambda: points("qk"),
    "top_into_values": lambda: shares("top_edges", "in", "attn_v").mean(),
    "circuit_into_values": lambda: shares("circuit", "in", "attn_v", model=GEMMA).mean(),
    "gradient_area": lambda: retention("gradient")["area"],
}
PUBLISHED_CHANCE = {
    "circuit_overlap": lambda: 100 * 16500 / 124441,
    "top_out_of_mlps": lambda: census_share(("mlp",), "out"),
    "circuit_out_of_mlps": lambda: census_share(("mlp",), "out"),
    "top_into_qk": lambda: census_share(("attn_q", "attn_k"), "in"),
    "circuit_into_qk": lambda: census_share(("attn_q", "attn_k"), "in"),
}


@pytest.mark.parametrize("listed_claim", [c for c in LISTED if c.criterion and c.value], ids=lambda c: c.id)
def test_printed_value_meets_its_own_criterion(listed_claim):
    least, most = ends_of(listed_claim.value)
    chance = PUBLISHED_CHANCE.get(listed_claim.id, lambda: math.nan)()
    part = Part("all", (least + most) / 2, least, most, chance=chance)
    others = {name: Quantity((Part("all", float(value())),)) for name, value in PUBLISHED_BESIDE.items()}
    assert judge_part(listed_claim.conditions, part, others, confidence=0.95) == HOLDS


def test_every_claim_is_measured_or_says_why_not():
    for each in LISTED:
        assert each.slip or each.untested or (each.measure in MEASUREMENTS and each.conditions), each.id


def test_slips_of_method_7_are_marked():
    assert {each.id for each in LISTED if each.slip} == {
        "circuit_out_of_mlps_llama",
        "circuit_into_mlps_llama",
        "circuit_into_qk_llama",
        "positions_ntp",
        "svv_printed",
    }
    table = printed("edge_counts").set_index(["model", "end", "node_kind"])["edges"]
    assert round(0.4662 * 13500) == 6294 > table[LLAMA, "in", "mlp"]  # why the share of table 7 is impossible


def test_page_on_claims_explains_every_condition_and_column():
    page = (ROOT / "docs/claims.md").read_text("utf-8")
    for form in ("at_most X", "at_least X", "within D of X", "more_than NAME", "less_than NAME"):
        assert f"| `{form}` |" in page
    for column in Claim.__dataclass_fields__:
        assert f"| `{column}` |" in page
    named = re.findall(r"`(claims|measurements)\.(?!py)(\w+)`", page)
    for module, name in named:
        assert re.search(
            rf"^(def |){name}\b", (ROOT / f"workflow/steering_study/{module}.py").read_text("utf-8"), re.M
        )


def test_sections_and_pages_of_claims_exist():
    for each in LISTED:
        assert (ROOT / f"workflow/notebooks/{each.section}.ipynb").is_file()
    for each in MEASUREMENTS.values():
        page, _, anchor = each.method.partition("#")
        headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text("utf-8"), re.M)
        kept = ["".join(c for c in heading.lower() if c.isalnum() or c in " -_") for heading in headings]
        assert anchor in [heading.replace(" ", "-") for heading in kept]


def test_no_measurement_is_left_over():
    used = {each.measure for each in LISTED} | {c.reference for each in LISTED for c in each.conditions}
    assert set(MEASUREMENTS) <= used
