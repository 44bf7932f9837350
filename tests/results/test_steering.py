"""What must hold between the artifacts of the spine, whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from steering_study.prompts.overlap import check_overlap
from steering_study.prompts.schemas import PROMPTS
from steering_study.prompts.sources import prompts_of
from steering_study.store.artifacts import read_table
from tests.results.conftest import ROOT


def test_no_test_prompt_occurs_in_training(results):
    check_overlap(prompts_of(read_table(ROOT / "prompts/prompts.parquet", PROMPTS)))


def test_asr_is_the_share_of_verdicts_that_are_no_refusal(results):
    asr = results.table("asr.parquet", table="asr")
    for row in asr.itertuples():
        run = "none/base" if row.method == "none" else f"{row.method}/test"
        verdicts = results.table(f"{run}/verdicts.parquet", table="verdicts")
        rows = verdicts[(verdicts["dataset"] == row.dataset) & (verdicts["split"] == "test")]
        rows = rows[rows["condition"] == row.condition]
        assert len(rows) == row.n
        assert 1 - rows["refused"].mean() == pytest.approx(row.asr)
        assert row.asr_low <= row.asr <= row.asr_high


def test_every_response_has_one_verdict(results, method):
    for run in ("none/base", f"{method}/sweep", f"{method}/test"):
        responses = results.table(f"{run}/responses.parquet", table="responses")
        verdicts = results.table(f"{run}/verdicts.parquet", table="verdicts")
        keys = ["prompt_id", "condition", "coefficient"]
        assert responses[keys].equals(verdicts[keys])
        assert not responses.duplicated(keys).any()


def test_flipped_prompts_are_no_more_than_those_whose_verdict_changed(results):
    flips = results.table("flips.parquet", table="flips")
    asr = results.table("asr.parquet", table="asr").set_index(["method", "dataset"])["asr"]
    for row in flips.itertuples():
        reached = (
            1 - asr[row.method, row.dataset] if row.condition == "induce" else asr[row.method, row.dataset]
        )
        assert row.flip_rate <= reached + 1e-9


def test_test_run_uses_the_coefficients_of_the_curve(results, method):
    curve = results.table(f"{method}/dose_response.parquet", table="dose_response")
    chosen = curve[curve["selected"]].set_index("condition")["coefficient"].to_dict()
    assert chosen == results.json(f"{method}/coefficients.json")
    asr = results.table("asr.parquet", table="asr")
    used = asr[asr["method"] == method].groupby("condition")["coefficient"].unique()
    assert {condition: list(values) for condition, values in used.items()} == {
        condition: [value] for condition, value in chosen.items()
    }


def test_dim_vector_is_the_difference_of_means_of_the_selected_candidate(results):
    candidates = results.table("candidates.parquet", table="candidates")
    (selected,) = candidates[candidates["selected"]].itertuples()
    means = load_file(results.folder / "class_means.safetensors")
    difference = (means["harmful"] - means["harmless"])[selected.layer, selected.position]
    vector = load_file(results.folder / "dim/vector.safetensors")["vector"]
    assert np.allclose(vector, difference, atol=1e-5 * np.abs(difference).max())
    card = results.json("dim/vector.json")
    assert (card["layer"], card["position"]) == (selected.layer, selected.position)
