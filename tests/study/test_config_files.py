"""Of what a config is made of, nothing is lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from steering_study.study.config_files import check_keys, check_options, config_words, describe_config

CONFIG = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize(
    "line",
    [
        "all --cores 2",
        "all --configfile a.yaml b.yaml --config seed=1 generation={max_new_tokens:8}",
        "--configfiles=a.yaml -C seed=1 -n",
        "-Cseed=1 -c 2 -nF",
        "-s Configuration -c 2 -C seed=1",
        "all --config-like --configfile a.yaml",
    ],
)
def test_one_place_for_files_and_one_for_values_are_taken(line):
    check_options(line.split())


@pytest.mark.parametrize(
    ("line", "lost", "together"),
    [
        ("--configfile a.yaml -n --configfile b.yaml", "a.yaml", "--configfile a.yaml b.yaml"),
        ("--configfile a.yaml --configfiles b.yaml c.yaml", "a.yaml", "--configfile a.yaml b.yaml c.yaml"),
        ("--configfile=a.yaml all --configfile=b.yaml", "a.yaml", "--configfile a.yaml b.yaml"),
        ("--config a=1 b=2 --cores 1 -C c=3", "a=1 b=2", "--config a=1 b=2 c=3"),
        ("--config x=-1 --config y=2", "x=-1", "--config x=-1 y=2"),
        ("-Ca=1 -Cb=2", "a=1", "--config a=1 b=2"),
        ("-C a=1 -nCb=2", "a=1", "--config a=1 b=2"),
        ("-nC a=1 --config=b=2", "a=1", "--config a=1 b=2"),
    ],
)
def test_a_second_place_is_refused_with_what_to_write_instead(line, lost, together):
    with pytest.raises(ValueError, match="is there 2 times") as refusal:
        check_options(line.split())
    assert f"would take the last and lose {lost}; give them together: {together}" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("seed: 1\nmodels: [a]\nseed: 2\n", 3, "seed"),
        ("prompts:\n  sizes: {train: 1}\n  source: files\n  sizes: {train: 2}\n", 4, "sizes"),
        ("prompts:\n  files:\n    - {name: a, name: b}\n", 3, "name"),
        ('{"seed": 1, "seed": 2}', 1, "seed"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n  b: 3\n", 5, "b"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path, text, line, key):
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=rf"mine\.yaml, line {line}: key '{key}' is there twice"):
        check_keys(path)


@pytest.mark.parametrize(
    "text",
    ["", "seed: 1\n", "a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n", "a: [1, 1]\n", "{1: a, '1': b}\n", "a: [\n"],
)
def test_other_files_pass(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    check_keys(path)


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_the_configs_that_come_with_the_study_pass(path):
    check_keys(path)


def test_values_inside_a_mapping_or_a_list_have_their_types():
    entries = [
        "generation={max_new_tokens: 8, batch_size: null}",
        "prompts={template: {enable_thinking: false, date: '2024-07-26'}}",
        "models=[pocket-llama, '8']",
        "seed=7",
        "name=a: b: c",
    ]
    assert config_words(entries) == {
        "generation": {"max_new_tokens": 8, "batch_size": None},
        "prompts": {"template": {"enable_thinking": False, "date": "2024-07-26"}},
        "models": ["pocket-llama", "8"],
    }  # plain numbers and words are Snakemake's, which reads them right


def test_maps_of_one_key_are_one():
    entries = [
        "prompts={template: {thinking: false, size: 8}}",
        "prompts={source: bundled, template: {date: x}}",
    ]
    assert config_words(entries) == {
        "prompts": {"template": {"thinking": False, "size": 8, "date": "x"}, "source": "bundled"}
    }


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        (["seed=1", "seed=2"], "seed"),
        (["a={b: 1, c: 2}", "a={b: 3}"], "a.b"),
        (["models=[x]", "models=[y]"], "models"),
        (["a={b: {c: 1}}", "a={b: {c: 1}}"], "a.b.c"),
    ],
)
def test_two_values_of_one_key_are_refused(entries, key):
    with pytest.raises(ValueError, match=rf"--config gives {key} two values"):
        config_words(entries)


def test_a_key_twice_inside_a_value_is_refused():
    with pytest.raises(ValueError, match=r"--config prompts, line 1: key 'a' is there twice"):
        config_words(["prompts={a: 1, a: 2}"])


def test_the_first_line_names_every_part_in_the_order_in_which_they_overlay_each_other():
    files = [Path.cwd() / "config/study.yaml", Path.cwd() / "config/tiny.yaml", Path("/elsewhere/mine.yaml")]
    line = describe_config(files, ["seed=7", "models=[a]"])
    assert line == (
        "Config: config/study.yaml, then config/tiny.yaml, then /elsewhere/mine.yaml, then --config seed=7 models=[a]"
    )
    assert describe_config(files[:1], []) == "Config: config/study.yaml"
