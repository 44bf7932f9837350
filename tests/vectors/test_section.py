"""Frames and sentences of the section on vectors, worked by hand."""

import numpy as np
import pandas as pd
import pytest
from tests.steering.by_hand import CARDS

from steering_study.vectors.section import candidate_map, vectors_facts, vectors_leads


def test_candidates_get_score_token_and_letters():
    candidates = pd.DataFrame(
        [
            ("tiny", 0, -1, 0.0, 0.0, 0.05, ""),
            ("tiny", 6, -2, -20.0, 20.0, 0.2, "layer >= 6, kl >= 0.1"),
            (
                "tiny",
                1,
                -1,
                np.nan,
                -1.0,
                0.0,
                "no candidate passes the filters; best unfiltered (induce <= 0)",
            ),
        ],
        columns=["model", "layer", "position", "bypass", "induce", "kl", "reason"],
    ).assign(ablation=0.0)
    table = candidate_map(candidates, CARDS)
    assert list(table["score"][:2]) == [0.0, pytest.approx(-1)]
    assert np.isnan(table["score"][2])
    assert list(table["token"]) == ["↵↵", "<eot>", "↵↵"]
    assert list(table["fell"]) == ["", "L K", "I"]


def frames() -> dict[str, pd.DataFrame]:
    return {
        "candidates": pd.DataFrame(
            {
                "model": ["tiny"] * 2,
                "layer": [3, 4],
                "position": [-1, -1],
                "selected": [True, False],
                "reason": ["published choice", ""],
            }
        ),
        "cosine": pd.DataFrame(
            {
                "model": "tiny",
                "method_a": "dim",
                "method_b": ["dim", "ntp", "random"],
                "cosine": [1, 0.618, 0],
            }
        ),
        "pair_counts": pd.DataFrame(
            {"model": "tiny", "split": ["train", "validation"], "reason": ["", "too long"], "n": [7, 3]}
        ),
        "trials": pd.DataFrame({"method": ["ntp"] * 3, "trial": [0, 1, 1]}),
    }


def test_facts_name_the_selected_candidate_and_count_pairs_and_trials():
    facts = vectors_facts(frames())
    assert facts["selected"] == "tiny layer 3, position −1 (published choice)"
    assert facts["n_candidates"] == "2 of tiny"
    assert facts["n_pairs"] == "tiny 7 of 10"
    assert (facts["n_train_pairs"], facts["n_trials"]) == ("7", "2 of NTP")


def test_a_study_without_learned_methods_says_so():
    empty = {name: frames()[name].iloc[:0] for name in ("pair_counts", "trials")}
    facts = vectors_facts(frames() | empty)
    assert facts["n_pairs"] == "none, as no vector is learned"
    assert (facts["n_train_pairs"], facts["n_trials"]) == ("no", "none")


def test_lead_gives_the_cosines_of_learned_methods_alone():
    assert vectors_leads(frames()) == ["Cosine with DIM in tiny: NTP +0.62."]
    alone = frames() | {"cosine": frames()["cosine"].query("method_b != 'ntp'")}
    assert vectors_leads(alone) == []
