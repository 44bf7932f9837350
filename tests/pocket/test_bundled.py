"""The committed models: what the manifest says, in the shapes and with the tokens that the study needs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.conftest import REPOSITORY

from steering_study.models.card import describe_model
from steering_study.store.artifacts import read_json, sha256_of

NAMES = ("pocket-llama", "pocket-gemma")
ARCHITECTURES = {"pocket-llama": "LlamaForCausalLM", "pocket-gemma": "Gemma2ForCausalLM"}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def folder(name: str):
    return REPOSITORY / "resources" / "models" / name


def test_every_file_is_the_one_of_the_training_run(name):
    listed = read_json(folder(name) / "manifest.json")["sha256"]
    files = {path.name: sha256_of(path) for path in folder(name).iterdir()}
    for extra in ("manifest.json", "README.md"):
        files.pop(extra)
    assert files == listed


def test_manifest_holds_the_settings_of_the_config(name, settings: dict[str, Any]):
    made_with = read_json(folder(name) / "manifest.json")["settings"]
    assert made_with == {
        "shape": settings["shapes"][name],
        "plan": {**settings["plan"], **settings["plans"].get(name, {})},
        "mixture": {**settings["mixture"], **settings["mixtures"].get(name, {})},
    }


def test_weights_are_small_and_safe(name):
    weights = list(folder(name).glob("*.safetensors"))
    assert sum(path.stat().st_size for path in weights) <= 10e6
    assert not [path for path in folder(name).iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


def test_card_describes_a_grouped_chat_model(name):
    card = describe_model(name, str(folder(name)), revision=None, dtype="float32", template={})
    assert card.architecture == ARCHITECTURES[name]
    assert 8 <= card.n_layers <= 12
    assert card.n_kv_heads < card.n_heads
    assert len(card.post_instruction_ids) >= 4
    assert len(card.end_of_turn_ids) == 1


def test_study_reads_the_committed_copy(name):
    config = yaml.safe_load((REPOSITORY / "config/study.yaml").read_text("utf-8"))
    assert config["models"] == list(NAMES)
    assert REPOSITORY / config["model_options"][name]["source"] == folder(name)
