"""Which dimensions a vector keeps, and the coefficient that it prefers."""

from __future__ import annotations

import numpy as np
from tests.sparsity.by_hand import SPARSE, base_verdicts, kept, verdicts, written

from steering_study.sparsity.settings import choose_factors, mask_of, settings_table
from steering_study.sparsity.sparsify import Sparse, with_factors


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
