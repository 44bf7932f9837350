"""Verdicts to summary tables, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from steering_study.stats import wilson_interval
from steering_study.summaries import dose_response, summarise_asr, summarise_bystanders, summarise_flips
from steering_study.table_schemas import TABLES

FILLED = {"split": "test", "method": "dim", "layer": 3, "judge": "phrases", "coefficient": 1.0}


def verdicts(*, refused: str, degenerate: str = "", **columns: object) -> pd.DataFrame:
    """Verdicts on prompts a, b, c, ... from strings of y and n."""
    n = len(refused)
    table = pd.DataFrame(
        {
            "prompt_id": list("abcdefghij"[:n]),
            "refused": [flag == "y" for flag in refused],
            "degenerate": [flag == "y" for flag in degenerate or "n" * n],
        }
    )
    return table.assign(**{"dataset": "harmless", "condition": "induce", **FILLED, **columns})


def test_asr_is_the_share_not_refused_whatever_degenerates():
    table = summarise_asr(verdicts(refused="ynnn", degenerate="nnyy"), model="mine", confidence=0.95)
    row = table.iloc[0]
    low, high = wilson_interval(3, 4, confidence=0.95)
    assert set(table) == set(TABLES["asr"])
    assert (row["model"], row["n"], row["asr"], row["degenerate_rate"]) == ("mine", 4, 0.75, 0.5)
    assert (row["asr_low"], row["asr_high"]) == (low, high)


def test_asr_has_a_row_for_each_dataset_and_condition():
    rows = pd.concat(
        [
            verdicts(refused="nn", method="none", condition="base", coefficient=0.0),
            verdicts(refused="yn", method="dim", condition="induce"),
            verdicts(refused="yyyn", method="dim", condition="bypass", dataset="ood", judge="guard"),
        ]
    )
    table = summarise_asr(rows, model="mine", confidence=0.95).set_index("condition")
    assert table["asr"].to_dict() == {"base": 1.0, "induce": 0.5, "bypass": 0.25}
    assert table["judge"].to_dict() == {"base": "phrases", "induce": "phrases", "bypass": "guard"}


def test_flip_rate_counts_fluent_changes_in_the_wanted_direction():
    base = verdicts(refused="nnny", degenerate="nnyn", condition="base")
    #                        a: flipped, b: degenerate, c: base degenerate, d: refused before
    steered = verdicts(refused="yyyy", degenerate="nynn")
    row = summarise_flips(base, steered, model="mine", confidence=0.95).iloc[0]
    low, high = wilson_interval(1, 4, confidence=0.95)
    assert (row["n"], row["flip_rate"], row["flip_low"], row["flip_high"]) == (4, 0.25, low, high)
    assert (row["asr"], row["degenerate_rate"]) == (0.0, 0.25)


def test_bystanders_stand_beside_their_unsteered_answers():
    base = verdicts(refused="ynnnn", condition="base").assign(looping=[False, True, False, False, True])
    bystanders = {"condition": "bypass", "coefficient": -1.0}
    steered = verdicts(refused="nnyy", degenerate="ynnn", **bystanders).assign(looping=[True] * 3 + [False])
    table = summarise_bystanders(base, steered, model="mine", confidence=0.95)
    assert set(table) == set(TABLES["bystanders"])
    row = table.iloc[0]
    low, high = wilson_interval(2, 4, confidence=0.95)
    assert (row["n"], row["refused_rate"], row["refused_low"], row["refused_high"]) == (4, 0.5, low, high)
    assert (row["base_refused_rate"], row["looping_rate"], row["base_looping_rate"]) == (0.25, 0.75, 0.25)
    assert (row["degenerate_rate"], row["base_degenerate_rate"]) == (0.25, 0.0)


def curve(published: dict[str, float] | None = None, *, max_degenerate: float = 0.25) -> pd.DataFrame:
    """Dose response of four prompts in each condition.

    coefficient   induce: refused  degenerate  flip rate     bypass: refused  flip rate
    0.5           yynn                         0.5           -0.5: yyyn       0.25
    1.0           yyyn                         0.75          -1.0: nnnn       1
    2.0           yyyy             yyyy        0
    """
    base = pd.concat(
        [
            verdicts(refused="nnnn", condition="base"),
            verdicts(refused="yyyy", condition="base").assign(prompt_id=list("efgh")),
        ]
    )
    steered = pd.concat(
        [
            verdicts(refused="yynn", coefficient=0.5),
            verdicts(refused="yyyn", coefficient=1.0, dataset="another"),
            verdicts(refused="yyyy", degenerate="yyyy", coefficient=2.0),
            *(
                verdicts(refused=refused, condition="bypass", coefficient=value).assign(
                    prompt_id=list("efgh")
                )
                for refused, value in (("yyyn", -0.5), ("nnnn", -1.0))
            ),
        ]
    )
    return dose_response(
        base, steered, model="mine", confidence=0.95, max_degenerate=max_degenerate, fixed=published
    )


def chosen(table: pd.DataFrame) -> dict[str, float]:
    return table[table["selected"]].set_index("condition")["coefficient"].to_dict()


def test_dose_response_has_a_row_for_each_coefficient():
    table = curve()
    assert set(table) == set(TABLES["dose_response"])
    rates = table.set_index("coefficient")["flip_rate"].to_dict()
    assert rates == {0.5: 0.5, 1.0: 0.75, 2.0: 0.0, -0.5: 0.25, -1.0: 1.0}


def test_dose_response_selects_a_coefficient_of_each_condition():
    assert chosen(curve()) == {"induce": 1.0, "bypass": -1.0}


def test_published_coefficients_are_selected_whatever_their_flip_rate():
    assert chosen(curve({"induce": 2.0, "bypass": -0.5})) == {"induce": 2.0, "bypass": -0.5}


def test_no_verdict_no_rate():
    with pytest.raises(KeyError):
        summarise_flips(verdicts(refused="n").head(0), verdicts(refused="y"), model="m", confidence=0.95)
