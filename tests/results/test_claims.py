"""What must hold of the claims and their verdicts, whatever the numbers are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steering_study.claims.criteria import (
    SLIP,
    UNTESTED,
    WHOLE,
    Part,
    Quantity,
    judge_part,
    put_together,
    read_claims,
)
from steering_study.claims.measurements import MEASUREMENTS
from steering_study.claims.schemas import CLAIM_MEANS, CLAIMS
from steering_study.store.artifacts import read_provenance, read_table
from tests.results.conftest import MODELS, ROOT

BY_ID = {
    each.id: each
    for each in read_claims(Path(__file__).parents[2] / "resources/paper/claims.csv", MEASUREMENTS)
}


@pytest.fixture
def claims(results):
    return results.table("claims.parquet", table="claims")


def parts_of(rows) -> tuple[Part, ...]:
    names = ["part", "value", "low", "high", "n", "chance", "p_value"]
    return tuple(Part(*row) for row in rows[names].itertuples(index=False, name=None))


def quantities(claims) -> dict[str, Quantity]:
    rows = claims[claims["part"] != WHOLE].drop_duplicates(["measure", "part"])
    found = {str(name): Quantity(parts_of(of_one)) for name, of_one in rows.groupby("measure")}
    return {**dict.fromkeys(MEASUREMENTS, Quantity(())), **found}


def test_every_claim_of_the_list_is_judged_once(claims):
    whole = claims[(claims["part"] == WHOLE) & (claims["claim"] != "")]
    assert list(whole["claim"]) == list(BY_ID)
    assert list(whole["criterion"]) == [each.criterion for each in BY_ID.values()]


def test_verdicts_follow_from_the_numbers_and_the_criteria(results, claims):
    others = quantities(claims)
    confidence = read_provenance(results.folder / "claims.parquet")["params"]["confidence"]
    for name, rows in claims[claims["claim"] != ""].groupby("claim"):
        claim, parts = BY_ID[str(name)], rows[rows["part"] != WHOLE]
        (verdict,) = rows.loc[rows["part"] == WHOLE, "verdict"]
        if claim.slip:
            assert verdict == SLIP
            continue
        again = [
            judge_part(claim.conditions, part, others, confidence=confidence) or UNTESTED
            for part in parts_of(parts)
        ]
        assert list(parts["verdict"]) == again
        assert verdict == put_together(again)


def test_what_is_not_tested_has_no_number_or_says_why(claims):
    untested = claims[(claims["part"] == WHOLE) & (claims["verdict"] == UNTESTED)]
    assert (untested["note"] != "").all()
    judged = claims[~claims["verdict"].isin([UNTESTED, SLIP])]
    assert judged["value"].notna().all()


def test_intervals_hold_their_numbers(claims):
    bounded = claims.dropna(subset=["low", "high"])
    assert (bounded["low"] <= bounded["value"] + 1e-9).all()
    assert (bounded["value"] <= bounded["high"] + 1e-9).all()


def test_numbers_of_a_whole_are_means_of_its_parts(claims):
    for _, rows in claims[claims["claim"] != ""].groupby("claim"):
        whole, parts = rows[rows["part"] == WHOLE].iloc[0], rows[rows["part"] != WHOLE]
        assert np.isclose(whole["value"], parts["value"].mean(), equal_nan=True)
        assert whole["n"] == parts.loc[parts["value"].notna(), "n"].sum()


def test_numbers_are_those_of_the_tables_that_they_name(results, claims):
    """Three of them, read off again."""
    values = claims[claims["claim"] != ""].set_index(["claim", "part"])["value"]
    faithfulness = results.table("faithfulness.parquet", table="faithfulness")
    smallest = faithfulness[faithfulness["minimum"]].groupby("vector_method")["share_of_edges"].first()
    for method, share in smallest.items():
        assert np.isclose(values["circuit_size", method], 100 * share)
    shares = results.table("edge_shares.parquet", table="edge_shares")
    into = shares[(shares["scope"] == "top_edges") & shares["node_kind"].isin(["attn_q", "attn_k"])]
    for method, percent in into.groupby("method")["percent"].sum().items():
        assert np.isclose(values["top_into_qk", method], percent)
    ablations = results.table("ablations.parquet", table="ablations").query(
        "method == 'dim' and scope == 'all'"
    )
    main_sets = read_provenance(results.folder / "claims.parquet")["params"]["main_sets"].values()
    change = ablations[(ablations["ablation"] == "qk") & ablations["dataset"].isin(main_sets)][
        "change_points"
    ]
    if len(change):
        assert np.isclose(values["qk", "dim"], change.mean())


def test_means_over_models_are_those_of_the_models():
    means = read_table(ROOT / "summary/claim_means.parquet", CLAIM_MEANS).set_index("claim")
    tables = [read_table(ROOT / model / "claims.parquet", CLAIMS) for model in MODELS]
    for name, row in means.iterrows():
        own = [table[(table["claim"] == name) & (table["part"] == WHOLE)].iloc[0] for table in tables]
        values = [each["value"] for each in own if not np.isnan(each["value"])]
        assert row["n_models"] == len(values)
        if values:
            assert np.isclose(row["value"], np.mean(values))
        expected = SLIP if BY_ID[str(name)].slip else put_together([each["verdict"] for each in own])
        assert row["verdict"] == expected
