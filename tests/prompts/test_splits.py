import numpy as np
import pytest
import yaml
from tests.prompts.made_prompts import MANIFEST, POOLS, ROOT, make, sample

from steering_study.prompts.overlap import check_overlap, drop_duplicates, exclude_overlaps
from steering_study.prompts.sources import parse_source, prompts_frame, read_prompts
from steering_study.prompts.splits import count_prompts, sample_splits

DATASETS = ROOT.parent / "shared/datasets"


def texts(prompts, split, label=None):
    return [p.text for p in prompts if p.split == split and label in (None, p.label)]


def test_sizes_are_met_exactly_and_no_prompt_is_used_twice():
    sampled = sample(POOLS, train=8, validation=4, augmentation=6, exam=None, good=10)
    counts = {}
    for row in count_prompts(sampled):
        counts[row["split"], row["label"]] = counts.get((row["split"], row["label"]), 0) + row["n"]
    assert counts == {
        ("train", "harmful"): 8,
        ("train", "harmless"): 8,
        ("validation", "harmful"): 4,
        ("validation", "harmless"): 4,
        ("test", "harmful"): 20,
        ("test", "harmless"): 10,
        ("augmentation", "harmful"): 6,
        ("augmentation", "harmless"): 6,
    }
    assert len({p.id for p in sampled}) == len(sampled)
    check_overlap(sampled)


def test_sample_is_fixed_by_the_seed():
    asked = {"train": 8, "validation": 4, "augmentation": 6, "exam": 5, "good": 10}
    assert sample(POOLS, seed=1, **asked) == sample(POOLS, seed=1, **asked)
    assert sample(POOLS, seed=1, **asked) != sample(POOLS, seed=2, **asked)


def test_larger_test_set_begins_with_the_smaller_and_moves_nothing_else():
    small = sample(POOLS, train=8, validation=4, augmentation=6, exam=5, good=10)
    large = sample(POOLS, train=8, validation=4, augmentation=6, exam=15, good=20)
    assert texts(large, "test", "harmless")[:10] == texts(small, "test", "harmless")
    assert texts(large, "test", "harmful")[:5] == texts(small, "test", "harmful")
    for split in ("train", "validation", "augmentation"):
        assert texts(large, split) == texts(small, split)


def test_every_source_of_a_pool_is_drawn_from():
    drawn = {p.source for p in sample(POOLS, train=20, exam=0) if p.split == "train"}
    assert drawn == {"bad", "worse", "good"}


def test_given_splits_are_capped_in_file_order():
    rows = [
        p
        for split in ("train", "test", "validation", "augmentation")
        for label in ("harmful", "harmless")
        for p in make(6, source=label, label=label, split=split, word=split + label)
    ]
    sampled = sample(rows, train=2, validation=9, augmentation=0, harmful=3, harmless=None)
    assert texts(sampled, "train") == [
        f"train{label} prompt {i}" for label in ("harmful", "harmless") for i in (0, 1)
    ]
    assert texts(sampled, "test", "harmful") == [f"testharmful prompt {i}" for i in range(3)]
    assert len(texts(sampled, "test", "harmless")) == len(texts(sampled, "validation", "harmful")) == 6
    assert texts(sampled, "augmentation") == []


@pytest.mark.parametrize(
    ("rows", "asked", "message"),
    [
        (
            POOLS,
            {"train": 30, "validation": 11, "exam": 1},
            r"the harmful pool has 40 prompts left .* 30 train \+ 11 va",
        ),
        (POOLS, {"train": 30, "good": 40, "exam": 1}, "the harmless pool has 20 prompts left"),
        (POOLS, {"exam": 21}, "test set 'exam' has 20 prompts, test_sizes asks for 21; lower it"),
        (POOLS, {"exam": -1}, "size of 'exam' is -1, expected a whole number"),
        (
            POOLS,
            {"exam": 1, "exma": 1},
            r"test_sizes names \['exma'\], the prompt sources are \['bad', 'exam'",
        ),
        (POOLS, {}, r"test_sizes lacks \['exam'\]; give each a number"),
        (POOLS[:40], {"train": 5}, "no harmless prompt is left for train, expected up to 5"),
        (make(3, source="a", label="harmful", split="train"), {"a": 3}, r"no test prompt is left in \['a'\]"),
        (
            [*POOLS, *make(3, source="own", label="harmful", split="train")],
            {"exam": 0},
            "harmful prompts come from a pool and from a file with training splits",
        ),
    ],
)
def test_impossible_sizes_are_refused(rows, asked, message):
    with pytest.raises(ValueError, match=message):
        sample(rows, **asked)


def test_sizes_name_exactly_the_training_splits():
    with pytest.raises(
        ValueError, match=r"sizes names \['train'\], expected train, validation, augmentation"
    ):
        sample_splits(POOLS, np.random.default_rng(0), sizes={"train": 1}, test_sizes={"exam": 1})


@pytest.fixture(scope="module")
def public():
    if not DATASETS.is_dir():
        pytest.skip("the public prompt files are not beside the repository (../shared/datasets)")
    entries = yaml.safe_load(MANIFEST.read_text("utf-8"))
    files = {
        e["name"]: read_prompts(DATASETS / e["file"], parse_source(e), concept="refusal") for e in entries
    }
    assert {name: len(file) for name, file in files.items()} == {e["name"]: e["rows"] for e in entries}
    return [prompt for file in files.values() for prompt in file]


def test_public_sets_give_the_sizes_of_the_study(public):
    kept, excluded = exclude_overlaps(public)
    kept, dropped = drop_duplicates(kept)
    sampled = sample(
        kept, train=128, validation=32, augmentation=128, jailbreakbench=100, alpaca=200, strongreject=313
    )
    counts = prompts_frame(sampled).groupby(["split", "label"]).size().to_dict()
    assert counts == {
        ("train", "harmful"): 128,
        ("train", "harmless"): 128,
        ("validation", "harmful"): 32,
        ("validation", "harmless"): 32,
        ("augmentation", "harmful"): 128,
        ("augmentation", "harmless"): 128,
        ("test", "harmful"): 413,
        ("test", "harmless"): 200,
    }
    tests = prompts_frame(sampled).query("split == 'test'").groupby("source").size().to_dict()
    assert tests == {"jailbreakbench": 100, "alpaca": 200, "strongreject": 313}
    assert min(excluded.values()) > 0
    assert sum(dropped.values()) > 0
    tested = {p.key for p in sampled if p.split == "test"}
    assert not tested & {p.key for p in sampled if p.split != "test"}


def test_unfiltered_public_sets_are_refused(public):
    with pytest.raises(ValueError, match="of the test split also occur"):
        check_overlap(public)
