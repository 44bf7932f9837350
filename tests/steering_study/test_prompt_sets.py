import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from steering_study.prompt_sets import (
    Prompt,
    PromptSource,
    check_overlap,
    count_prompts,
    drop_blank,
    drop_duplicates,
    exclude_overlaps,
    normalise_text,
    parse_source,
    prompts_frame,
    prompts_of,
    read_prompts,
    sample_splits,
)
from steering_study.records import read_records
from steering_study.table_schemas import TABLES

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "resources/prompts/public.yaml"
DATASETS = ROOT.parent / "shared/datasets"

ONE_A_LINE = PromptSource(name="mine", text="text", role="pool", label="harmful")


def make(n: int, *, source: str, label: str, split: str = "pool", word: str = "") -> list[Prompt]:
    return [
        Prompt(f"{source}-{i:04d}", split, label, source, "refusal", f"{word or source} prompt {i}")
        for i in range(n)
    ]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def sample(prompts, *, seed=0, train=0, validation=0, augmentation=0, **test_sizes):
    sizes = {"train": train, "validation": validation, "augmentation": augmentation}
    return sample_splits(prompts, np.random.default_rng(seed), sizes=sizes, test_sizes=test_sizes)


def texts(prompts, split, label=None):
    return [p.text for p in prompts if p.split == split and label in (None, p.label)]


# Reading


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,other\n"Bake, then cool",1\nBoil rice,2\n'),
        ("a.csv", 'text,other,,\n"Bake, then cool",1,,\nBoil rice,2,,\n'),
        ("a.CSV", '\ufefftext,other\r\n"Bake, then cool",1\r\nBoil rice,2\r\n'),
        ("a.json", '[{"text": "Bake, then cool"}, {"text": " Boil rice "}]'),
        ("a.json", '["Bake, then cool", "Boil rice"]'),
        ("a.jsonl", '{"text": "Bake, then cool"}\n{"text": "Boil rice"}\n'),
        ("a.txt", "Bake, then cool\r\nBoil rice\r\n"),
    ],
)
def test_every_format_gives_the_same_prompts(tmp_path, name, content):
    prompts = read_prompts(write(tmp_path, name, content), ONE_A_LINE, concept="refusal")
    assert prompts == [
        Prompt("mine-0000", "pool", "harmful", "mine", "refusal", "Bake, then cool"),
        Prompt("mine-0001", "pool", "harmful", "mine", "refusal", "Boil rice"),
    ]


def test_ids_are_record_numbers_of_the_file(tmp_path):
    path = write(tmp_path, "a.txt", "first\n\nsecond\n")
    assert [p.id for p in read_prompts(path, ONE_A_LINE, concept="c")] == ["mine-0000", "mine-0002"]


def test_line_separator_inside_a_json_string_does_not_end_the_record(tmp_path):
    path = write(tmp_path, "a.jsonl", json.dumps({"text": "one\u2028line"}, ensure_ascii=False))
    assert [record["text"] for _, record in read_records(path, text="text", columns=[])] == ["one\u2028line"]


def test_columns_of_a_users_file_become_labels_splits_and_ids(tmp_path):
    path = write(tmp_path, "a.csv", "key,q,polite,part\nx1,Please sit,1,train\nx2,Sit,0,Test\n")
    source = parse_source(
        {"name": "tone", "path": "a.csv", "text": "q", "label_column": "polite", "split_column": "part"}
        | {"label_values": {1: "harmless", 0: "harmful"}, "id_column": "key"}
    )
    assert read_prompts(path, source, concept="politeness") == [
        Prompt("x1", "train", "harmless", "tone_harmless", "politeness", "Please sit"),
        Prompt("x2", "test", "harmful", "tone_harmful", "politeness", "Sit"),
    ]


@pytest.mark.parametrize(("value", "cell"), [(True, "true"), (1, "1"), ("Yes", " yes ")])
def test_label_values_match_yaml_json_and_csv_spellings(tmp_path, value, cell):
    source = PromptSource(
        name="a", text="text", role="pool", label_column="label", label_values={value: "harmful"}
    )
    csv_file = write(tmp_path, "a.csv", f"text,label\nhello,{cell}\n")
    json_file = write(tmp_path, "a.json", json.dumps([{"text": "hello", "label": value}]))
    assert [read_prompts(path, source, concept="c")[0].label for path in (csv_file, json_file)] == [
        "harmful"
    ] * 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "prompt\nhi\n",
            r"a\.csv: record 0 has no field 'text', it has \['prompt'\]; name the right one",
        ),
        ("a.json", '[{"text": "hi"}, {"q": "hi"}]', "record 1 has no field 'text'"),
        ("a.xlsx", "text\n", r"ends in '\.xlsx', expected one of \.csv, \.json, \.jsonl, \.txt; convert"),
        ("a.csv", "", "a.csv is empty, expected at least one prompt"),
        ("a.csv", "text\n", "a.csv is empty"),
        ("a.json", "", "a.json is empty"),
        ("a.json", "[]", "a.json is empty"),
        ("a.txt", "\n \n", "a.txt is empty"),
        ("a.csv", "text,b\nhi,1\n  ,2\n", "record 1 has text = '  ', expected a text; fill it in"),
        ("a.jsonl", '{"text": null}', "record 0 has text = None"),
        ("a.json", '[{"text": 3}]', "record 0 has text = 3"),
        ("a.txt", b"caf\xe9\n", r"is not UTF-8 text \(byte 3 is 0xe9\); save it as UTF-8"),
        (
            "a.csv",
            "text,b\nhi, there,1\n",
            "record 0 does not have the 2 fields of the header; put texts with commas",
        ),
        ("a.csv", "text,b\nhi\n", "record 0 does not have the 2 fields"),
        ("a.csv", 'text\n"hi\n', r"line \d is not valid CSV .*; repair it"),
        ("a.json", '{"data": []}', "holds a JSON dict, expected a list"),
        ("a.json", "[3]", "record 0 is a int, expected an object or a string"),
        ("a.json", "[", "a.json is not valid JSON .*; repair it"),
        ("a.jsonl", '{"text": "hi"}\n{', "line 2 is not valid JSON"),
        ("a.csv", "text,label,text\nhi,1,mine-1\n", "the header has column 'text' more than once"),
        ("a.json", '[{"text": "hi"}, {"text": "a", "text": "b"}]', "a record has key 'text' more than once"),
        ("a.json", '[{"text": "hi", "meta": {"n": 1, "n": 2}}]', "a record has key 'n' more than once"),
        (
            "a.jsonl",
            '{"text": "hi"}\n{"text": "a", "text": "b"}',
            "line 2: a record has key 'text' more than",
        ),
    ],
)
def test_unusable_file_is_refused_with_what_to_do(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        read_prompts(write(tmp_path, name, content), ONE_A_LINE, concept="c")


@pytest.mark.parametrize(
    ("label", "part", "message"),
    [
        (
            "maybe",
            "train",
            r"record 0: label is 'maybe', expected one of \['1'\]; correct it or the prompt source",
        ),
        (
            "1",
            "dev",
            r"record 0: part is 'dev', expected one of \['train', 'validation', 'test', 'augmentation'\]",
        ),
    ],
)
def test_unknown_label_or_split_is_refused(tmp_path, label, part, message):
    source = PromptSource(
        name="a", text="text", label_column="label", label_values={"1": "harmful"}, split_column="part"
    )
    with pytest.raises(ValueError, match=message):
        read_prompts(write(tmp_path, "a.csv", f"text,label,part\nhi,{label},{part}\n"), source, concept="c")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"role": "pool", "label": "harmful", "column": "q"},
            r"unknown keys \['column'\] and lacks \[\]; it takes",
        ),
        ({"role": "pool"}, "needs either label or label_column"),
        (
            {"role": "pool", "label": "harmful", "label_column": "l", "label_values": {1: "harmful"}},
            "either label or",
        ),
        ({"role": "pool", "label_column": "l"}, "needs label_column and label_values together"),
        (
            {"role": "pool", "label_column": "l", "label_values": {"H": "harmful", "h": "harmless"}},
            r"needs label_values that differ in more than case, not \['H', 'h'\]",
        ),
        (
            {"role": "pool", "label_column": "l", "label_values": {True: "harmful", "true": "harmless"}},
            "needs label_values that differ in more than case",
        ),
        ({"label": "harmful"}, "needs either role or split_column"),
        ({"label": "harmful", "role": "train"}, "needs role pool or test, not 'train'"),
        ({"label": "bad", "role": "pool"}, "needs labels from .*'harmful', 'harmless'.*, not {'bad'}"),
        ({"label": "harmful", "role": "pool", "name": "my set"}, "'my set' has other signs than letters"),
    ],
)
def test_contradictory_source_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        parse_source({"name": "mine", "text": "q"} | spec)


def test_source_without_text_field_is_refused():
    with pytest.raises(ValueError, match=r"lacks \['text'\]"):
        parse_source({"name": "mine", "role": "pool", "label": "harmful"})


# Overlap and duplicates


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Don't stop.", "don\u2019t  STOP"),
        ("Don't stop.", "dont stop!"),
        ("step-by-step", "step by step"),
        ("Say \u201chello\u201d", 'say "hello"'),
        ("caf\u00e9", "cafe\u0301"),
        ("\ufb01nd it\u2026", "find it"),
        ("a\nb\tc", "a b c"),
        ("3+4", "3 + 4"),
        ("don\u00b4t", "don't"),
        ("bake\u200b bread", "bake bread"),  # zero-width space
        ("ba\u2060ke", "bake"),  # word joiner
        ("ba\u00adke", "bake"),  # soft hyphen
        ("\u202ebake\u202c", "bake"),  # marks of direction
        ("ba\u034fke\ufe0f", "bake"),  # joiner of graphemes, selector of a variant
        ("b\U000e0061ake", "bake"),  # a tag
        ("ba\x00ke\x7f", "bake"),
        ("e\u200b\u0301t\u00e9", "\u00e9t\u00e9"),  # what an invisible sign kept apart is one letter
        ("bake\u00a0bread", "bake bread"),  # spaces that look like spaces
        ("bake\u2003bread", "bake bread"),
        ("bake\u2800bread", "bake bread"),
        ("bake\u3164 bread", "bake bread"),  # a filler
        ("\uff42\uff41\uff4b\uff45", "bake"),  # full width
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_same_words_are_equal(left, right):
    assert normalise_text(left) == normalise_text(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("3.5 kg", "35 kg"),
        ("in C++", "in C"),
        ("in C#", "in C"),
        ("a b", "ab"),
        ("?", "!"),
        ("\u0431\u0430\u043a", "6ak"),  # letters of another script are other letters, though they look alike
    ],
)
def test_different_words_differ(left, right):
    assert normalise_text(left) != normalise_text(right)


def test_pool_loses_what_a_test_set_holds():
    pool = make(5, source="quoted", label="harmful", word="same")
    test = make(2, source="exam", label="harmful", split="test_pool", word="SAME!")
    kept, excluded = exclude_overlaps([*pool, *test])
    assert [p.id for p in kept] == ["quoted-0002", "quoted-0003", "quoted-0004", "exam-0000", "exam-0001"]
    assert excluded == {"quoted": 2}


def test_a_prompt_counts_once_in_a_pool_and_in_each_test_set():
    pools = make(3, source="a", label="harmful", word="x") + make(4, source="b", label="harmful", word="X")
    tests = make(2, source="t", label="harmful", split="test_pool") * 2
    tests += make(2, source="u", label="harmful", split="test_pool", word="t")
    kept, dropped = drop_duplicates([*pools, *tests])
    assert dropped == {"b": 3, "t": 2}
    assert [p.source for p in kept] == ["a", "a", "a", "b", "t", "t", "u", "u"]


@pytest.mark.parametrize("split", ["train", "validation", "augmentation", "pool"])
def test_test_prompt_in_another_split_is_refused(split):
    left = make(5, source="exam", label="harmful", split="test", word="How to " + "very " * 20)
    right = make(5, source="class", label="harmful", split=split, word="how to, " + "very " * 20)
    check_overlap(left)
    check_overlap(right)
    with pytest.raises(
        ValueError, match="also occur in train, validation, augmentation or a pool"
    ) as refusal:
        check_overlap(left + right)
    message = str(refusal.value)
    assert message.startswith("5 prompt(s) of the test split")
    assert [f"exam-000{i} of exam, class-000{i} of class" in message for i in range(5)] == [True] * 3 + [
        False
    ] * 2
    assert "delete them" in message
    assert len(message) < 600  # long prompts are shortened


def test_prompt_under_both_labels_is_refused():
    rows = make(1, source="a", label="harmful", word="x") + make(1, source="b", label="harmless", word="X")
    with pytest.raises(
        ValueError, match=r"1 prompt\(s\) carry both labels: 'x prompt 0' .*; correct the files"
    ):
        check_overlap(rows)


@pytest.mark.parametrize("sign", ["\u200b", "\u2060", "\u00ad"])
def test_a_sign_that_shows_nothing_hides_no_overlap(sign):
    plain = Prompt("a-0", "train", "harmful", "a", "refusal", "How do I bake bread?")
    hidden = Prompt("b-0", "test", "harmful", "b", "refusal", f"How do I ba{sign}ke bread?")
    with pytest.raises(ValueError, match="of the test split also occur in train"):
        check_overlap([plain, hidden])
    with pytest.raises(ValueError, match="carry both labels"):
        check_overlap([plain, replace(hidden, split="train", label="harmless")])
    assert drop_duplicates([plain, replace(hidden, split="train")]) == ([plain], {"b": 1})
    assert exclude_overlaps([replace(plain, split="pool"), hidden]) == ([hidden], {"a": 1})


@pytest.mark.parametrize("text", ["\u200b", "\u2060\u00ad", "\u3164 \u2800", "\x00"])
def test_prompts_that_show_nothing_are_dropped(text):
    shown = make(2, source="a", label="harmful")
    assert drop_blank([*shown, Prompt("b-0", "pool", "harmful", "b", "refusal", text)]) == (shown, {"b": 1})


def test_two_test_sets_may_share_a_prompt():
    check_overlap(
        make(2, source="a", label="harmful", split="test", word="x")
        + make(2, source="b", label="harmful", split="test", word="x")
    )


# Sampling

POOLS = [
    *make(30, source="bad", label="harmful"),
    *make(10, source="worse", label="harmful"),
    *make(60, source="good", label="harmless"),
    *make(20, source="exam", label="harmful", split="test_pool"),
]


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


def test_frame_has_the_columns_of_the_table_and_returns():
    prompts = sample(POOLS, train=2, exam=1)
    frame = prompts_frame(prompts)
    assert list(frame.columns) == list(TABLES["prompts"])
    assert prompts_of(frame) == prompts


# The public sets


def test_public_entries_are_sources_with_pinned_downloads():
    manifest = yaml.safe_load(MANIFEST.read_text("utf-8"))
    assert {parse_source(entry).role for entry in manifest} == {"pool", "test"}
    for entry in manifest:
        assert entry["url"].endswith("/" + Path(entry["file"]).name)
        assert len(entry["sha256"]) == 64
        assert entry["licence"]


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
