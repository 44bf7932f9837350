"""YAML that loses a key is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from steering_study.store.yaml_files import read_yaml

RESOURCES = Path(__file__).parents[2] / "resources"


@pytest.mark.parametrize("name", ["refusal_phrases.yaml", "concept_words.yaml", "prompts/public.yaml"])
def test_what_comes_with_the_study_is_read_as_ever(name):
    assert read_yaml(RESOURCES / name) == yaml.safe_load((RESOURCES / name).read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phrases: [I cannot]\nphrases: [I can't]\n", r"mine\.yaml, line 2: key 'phrases' is there twice"),
        ("phrases: [I cannot\n", r"mine\.yaml is not valid YAML .*; repair it"),
    ],
)
def test_a_file_that_would_lose_something_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message) as refusal:
        read_yaml(path)
    assert "\n" not in str(refusal.value)
