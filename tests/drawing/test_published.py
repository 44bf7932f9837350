"""Published numbers stand beside those of the same family and test set."""

from tests.steering.by_hand import CARDS, PUBLISHED, asr

from steering_study.drawing.published import published_beside


def test_published_values_stand_beside_the_same_family():
    beside = published_beside(asr("tiny"), PUBLISHED, CARDS)
    assert beside[["published_model", "dataset", "published_dataset", "asr"]].values.tolist() == [
        ["llama-3.2-3b-instruct", "harmless", "alpaca", 0.03],
        ["llama-3.2-3b-instruct", "harmful", "jailbreakbench", 0.85],
    ]


def test_a_family_that_was_not_published_stands_beside_both():
    beside = published_beside(asr("other", "alpaca", "jailbreakbench"), PUBLISHED, CARDS)
    assert beside.groupby("dataset")["published_model"].nunique().to_dict() == {
        "alpaca": 2,
        "jailbreakbench": 2,
    }
