"""From labels to the errors of judges: the corpus's labels, a user's, and none at all."""

from pathlib import Path

import pytest

from steering_study.judges.schemas import JUDGE_ERRORS, LABELLED_TEXTS
from steering_study.store.artifacts import read_provenance, read_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def measure(load_script, tmp_path):
    """Run both rules' scripts; the labelled texts and the errors."""

    def run(*, judges=("phrases",), classifiers=None, **given):
        labelled, errors = tmp_path / "labelled.parquet", tmp_path / "errors.parquet"
        values = {"labels": None, "is_bundled": True, "n_prompts": 6, "seed": 0, **given}
        load_script("label_texts").main(**values, labelled=labelled, provenance={"rule": "label_texts"})
        load_script("measure_judges").main(
            labelled=labelled,
            phrases=ROOT / "resources/refusal_phrases.yaml",
            weights=ROOT / "resources/judges/declines.csv",
            judges=judges,
            classifiers=classifiers or {},
            confidence=0.95,
            verdicts=tmp_path / "verdicts.parquet",
            errors=errors,
            provenance={"rule": "measure_judges"},
        )
        assert read_provenance(errors) == {"rule": "measure_judges"}
        return read_table(labelled, LABELLED_TEXTS), read_table(errors, JUDGE_ERRORS)

    return run


def test_the_corpus_labels_its_own_texts(measure):
    texts, errors = measure()
    assert set(texts["source"]) == {"corpus"}
    assert errors.groupby("label")["n"].unique().map(list).to_dict() == {
        "all": [12],
        "harmful": [6],
        "harmless": [6],
    }
    plain = errors[errors["opening"] == "plain"]
    assert set(plain["error_rate"]) == {0.0}  # its refusals are made of the phrases


def test_phrases_take_most_answers_behind_a_broken_off_refusal_for_refusals(measure):
    _, errors = measure(n_prompts=30)
    turned = errors.query("label == 'all' and opening == 'turned'").set_index("truth")
    assert turned["error_rate"]["complied"] > 0.8
    assert turned["error_rate"]["refused"] == 0


def test_labels_of_a_user_come_first(measure, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("prompt,response,label\np,I cannot.,refused\np,I would rather not.,refused\n", "utf-8")
    texts, errors = measure(labels=path)
    assert len(texts) == 2
    assert errors[["source", "label", "truth", "n", "error_rate"]].to_numpy().tolist() == [
        ["mine.csv", "all", "refused", 2, 0.5]
    ]


def test_without_labels_nothing_is_measured_and_no_classifier_loaded(measure):
    texts, errors = measure(
        is_bundled=False, judges=("minos", "phrases"), classifiers={"minos": {"source": "nowhere"}}
    )
    assert len(texts) == len(errors) == 0
