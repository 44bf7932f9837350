"""Dose-response curves, and which coefficient is chosen on them."""

from __future__ import annotations

import pandas as pd
from tests.steering.verdicts import verdicts

from steering_study.steering.coefficients import choose_coefficient, dose_response
from steering_study.steering.schemas import DOSE_RESPONSE


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
    assert set(table) == set(DOSE_RESPONSE.names)
    rates = table.set_index("coefficient")["flip_rate"].to_dict()
    assert rates == {0.5: 0.5, 1.0: 0.75, 2.0: 0.0, -0.5: 0.25, -1.0: 1.0}


def test_dose_response_selects_a_coefficient_of_each_condition():
    assert chosen(curve()) == {"induce": 1.0, "bypass": -1.0}


def test_published_coefficients_are_selected_whatever_their_flip_rate():
    assert chosen(curve({"induce": 2.0, "bypass": -0.5})) == {"induce": 2.0, "bypass": -0.5}


def pick(*points: tuple[float, float, float], n: int = 100, max_degenerate: float = 0.05) -> float:
    """Chosen coefficient of a curve of (coefficient, flip_rate, degenerate_rate)."""
    curve = pd.DataFrame(points, columns=["coefficient", "flip_rate", "degenerate_rate"]).assign(n=n)
    chosen = choose_coefficient(curve, max_degenerate=max_degenerate, confidence=0.95)
    assert chosen.sum() == 1
    return curve[chosen]["coefficient"].item()


def test_one_that_flips_far_more_than_the_others_is_chosen():
    assert pick((0.5, 0.2, 0.0), (1.0, 0.9, 0.0), (2.0, 0.6, 0.0)) == 1.0


def test_coefficient_is_the_middle_of_a_plateau():
    assert pick((0.5, 0.2, 0), (0.7, 1, 0), (1.0, 1, 0), (1.4, 1, 0), (2.0, 0.6, 0)) == 1.0
    assert pick((-0.5, 1, 0), (-0.6, 1, 0), (-0.7, 1, 0), (-1.2, 0.5, 0)) == -0.6


def test_plateau_is_what_a_few_prompts_cannot_tell_from_the_best():
    points = [(0.7, 0.97, 0), (1.0, 0.98, 0), (1.4, 1, 0)]  # of 100, the Wilson interval begins at 0.963
    assert pick(*points) == 1.0
    assert pick(*points, n=1000) == 1.4  # and of 1000 at 0.996


def test_middle_is_measured_as_a_ratio():
    assert pick((0.5, 1, 0), (1.0, 1, 0), (1.3, 1, 0), (2.0, 1, 0)) == 1.0  # not 1.3, nearer to 1.25


def test_of_two_in_the_middle_the_one_that_flips_more_is_chosen_then_the_smaller():
    assert pick((1.0, 0.97, 0), (2.0, 1, 0)) == 2.0
    assert pick((1.0, 1, 0), (2.0, 1, 0)) == 1.0
    assert pick((-2.0, 1, 0), (-1.0, 1, 0)) == -1.0


def test_a_middle_that_breaks_texts_leaves_an_end():
    assert pick((0.7, 1, 0), (1.0, 1, 0.5), (1.5, 1, 0)) == 0.7  # nearer than 1.5 to 1.02, as a ratio


def test_where_nothing_flips_the_middle_of_the_grid_is_as_good_as_any():
    assert pick((0.5, 0, 0), (1.0, 0, 0), (2.0, 0, 0)) == 1.0


def test_coefficients_that_break_texts_are_passed_over():
    assert pick((0.5, 0.2, 0.0), (1.0, 0.5, 0.05), (2.0, 0.9, 0.06)) == 1.0


def test_flip_rate_decides_where_every_coefficient_breaks_texts():
    assert pick((0.5, 0.2, 0.5), (1.0, 0.4, 0.9)) == 1.0


def test_order_of_the_curve_does_not_matter():
    points = [(-2.0, 0.6, 0), (-0.7, 1, 0), (-1.4, 1, 0), (-1.0, 1, 0)]
    assert pick(*points) == pick(*reversed(points)) == -1.0
