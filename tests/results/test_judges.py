"""The errors of the judges: what must hold between labels, verdicts and counts."""

import pytest

from steering_study.judges.schemas import JUDGE_ERRORS, LABELLED_TEXTS, LABELLED_VERDICTS
from steering_study.store.artifacts import read_table
from tests.results.conftest import ROOT


@pytest.fixture(scope="module")
def errors():
    return read_table(ROOT / "summary/judge_errors.parquet", JUDGE_ERRORS)


@pytest.fixture(scope="module")
def judged():
    texts = read_table(ROOT / "judges/labelled_texts.parquet", LABELLED_TEXTS)
    verdicts = read_table(ROOT / "judges/labelled_verdicts.parquet", LABELLED_VERDICTS)
    assert set(verdicts["text_id"]) == set(texts["text_id"])
    return texts.merge(verdicts, on="text_id", validate="one_to_many")


def test_errors_of_judges_are_those_of_their_verdicts(errors, judged):
    for row in errors.to_dict("records"):
        keys = (
            ["judge", "opening", "truth"] if row["label"] == "all" else ["judge", "label", "opening", "truth"]
        )
        of_row = judged[(judged[keys] == [row[key] for key in keys]).all(axis=1)]
        assert len(of_row) == row["n"]
        assert ((of_row["refused"]) != (row["truth"] == "refused")).mean() == pytest.approx(row["error_rate"])
        assert row["error_low"] <= row["error_rate"] <= row["error_high"]
        assert row["refused_low"] <= row["refused_rate"] <= row["refused_high"]


def test_the_judge_of_every_attack_success_rate_is_measured_where_anything_is(results, errors):
    if len(errors):
        assert set(results.table("asr.parquet", table="asr")["judge"]) <= set(errors["judge"])
