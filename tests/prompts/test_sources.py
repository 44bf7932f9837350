"""Raw files of any layout give the same prompts, and unusable ones one line."""

import json
from pathlib import Path

import pytest
import yaml
from tests.prompts.made_prompts import MANIFEST, POOLS, sample

from steering_study.prompts.schemas import PROMPTS
from steering_study.prompts.sources import (
    Prompt,
    PromptSource,
    parse_source,
    prompts_frame,
    prompts_of,
    read_prompts,
)
from steering_study.store.records import read_records

ONE_A_LINE = PromptSource(name="mine", text="text", role="pool", label="harmful")


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


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


def test_frame_has_the_columns_of_the_table_and_returns():
    prompts = sample(POOLS, train=2, exam=1)
    frame = prompts_frame(prompts)
    assert list(frame.columns) == PROMPTS.names
    assert prompts_of(frame) == prompts


def test_public_entries_are_sources_with_pinned_downloads():
    manifest = yaml.safe_load(MANIFEST.read_text("utf-8"))
    assert {parse_source(entry).role for entry in manifest} == {"pool", "test"}
    for entry in manifest:
        assert entry["url"].endswith("/" + Path(entry["file"]).name)
        assert len(entry["sha256"]) == 64
        assert entry["licence"]
