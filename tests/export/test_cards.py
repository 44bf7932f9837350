"""What is given to others: cards, edge lists, readable tables, a manifest; and the ten lines that load a vector."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from jinja2 import Environment, FileSystemLoader
from tests.circuits.frames import GRAPH, circuit_summaries, stored_rankings
from tests.conftest import REPOSITORY
from tests.reference.live_edges import live_edges
from tests.results.export_lines import answer, begins_with, lines_of, run_lines

from steering_study.circuits.nesting import circuits_of
from steering_study.circuits.rankings import own_ranking, read_rankings
from steering_study.export.cards import describe_source, minimum_circuit, portable, vector_card
from steering_study.models.chat import render_chat
from steering_study.models.decoding import generate
from steering_study.models.hooks import Steering
from steering_study.store.artifacts import write_arrays, write_json

PAGE = (REPOSITORY / "docs/export.md").read_text("utf-8")
FOLDER_SHA256, COMMIT = "0123456789abcdef" * 4, "0123456789" * 4
MADE = {"method": "dim", "revision": FOLDER_SHA256, "layer": 2, "position": -1, "note": ""}
MODEL = {
    "name": "mine",
    "source": "/home/me/models/mine",
    "revision": FOLDER_SHA256,
    "architecture": "LlamaForCausalLM",
    "dtype": "float32",
    "n_layers": 4,
    "d_model": 3,
    "template": {},
    "template_sha256": "0" * 64,
    "post_instruction_tokens": ["<end>"],
    "post_instruction_ids": [7],
    "end_of_turn_ids": [7],
}
ASR = pd.DataFrame({"method": ["none", "dim"]}).assign(model="mine", condition="induce", dataset="harmless")
ASR = ASR.assign(
    coefficient=1.0, n=8, asr=0.25, asr_low=0.1, asr_high=0.6, degenerate_rate=0.0, judge="phrases"
)
WAYS = {
    "coefficients": {"induce": 1.5, "bypass": -1.0},
    "asr": ASR,
    "concept": "refusal",
    "seed": 42,
    "max_new_tokens": 64,
}
VECTOR = np.array([3.0, 0.0, 4.0], dtype=np.float32)


def test_card_tells_layer_coefficients_norm_and_rates_of_its_method():
    card = vector_card(MODEL, MADE, VECTOR, **WAYS)
    assert card["layer"] == 2
    assert "model.model.layers[layer]" in card["layer_convention"]
    assert card["coefficients"] == {"induce": 1.5, "bypass": -1.0}
    assert card["norm"] == 5
    assert card["seed"] == 42
    assert [(row["dataset"], row["asr"]) for row in card["attack_success"]] == [("harmless", 0.25)]
    assert json.loads(json.dumps(card)) == card


def test_card_of_a_learned_vector_has_the_seed_of_its_trial_and_no_position():
    made = {"method": "ntp", "revision": FOLDER_SHA256, "layer": 2, "trial": {"seed": 5, "trial": 3}}
    card = vector_card(MODEL, made, VECTOR, **WAYS)
    assert (card["seed"], card["read_at_position"], card["trial"]["trial"]) == (5, None, 3)


def test_random_control_was_read_from_no_position():
    assert vector_card(MODEL, {**MADE, "method": "random"}, VECTOR, **WAYS)["read_at_position"] is None


@pytest.mark.parametrize(
    ("made", "vector", "message"),
    [
        ({**MADE, "revision": COMMIT}, VECTOR, "was made for revision 012345678901"),
        (MADE, VECTOR[:2], r"has shape \(2,\), expected \(3,\)"),
    ],
)
def test_vector_of_another_model_is_refused(made, vector, message):
    with pytest.raises(ValueError, match=message):
        vector_card(MODEL, made, vector, **WAYS)


def test_folder_has_a_digest_and_a_hub_model_a_revision():
    folder = describe_source(MODEL)
    hub = describe_source({**MODEL, "source": "owner/mine", "revision": COMMIT})
    assert (folder["source"], folder["revision"], folder["files_sha256"]) == ("mine", None, FOLDER_SHA256)
    assert (hub["source"], hub["revision"], hub["files_sha256"]) == ("owner/mine", COMMIT, None)


def test_only_the_last_part_of_an_absolute_path_is_left():
    value = {
        "inputs": {"/home/me/x.csv": "0a"},
        "sources": ["/data/guard", "owner/name", "results/x"],
        "n": 3,
    }
    assert portable(value) == {
        "inputs": {"x.csv": "0a"},
        "sources": ["guard", "owner/name", "results/x"],
        "n": 3,
    }


def test_edge_list_is_the_circuit_of_the_minimum_faithful_size():
    rankings, faithfulness = stored_rankings(), circuit_summaries(("dim", "ntp"))["faithfulness"]
    edges, card = minimum_circuit(GRAPH, rankings, faithfulness, method="dim")
    own = own_ranking(read_rankings(rankings))
    (mask,) = circuits_of(GRAPH, own.order, [card["nominal_edges"]])
    src, dst = np.nonzero(mask)
    expected = {(GRAPH.src_names[s], GRAPH.dst_names[d]) for s, d in zip(src, dst, strict=True)}
    assert set(zip(edges["src"], edges["dst"], strict=True)) == expected
    assert (live_edges(GRAPH, mask) == mask).all()
    assert len(edges) == card["nominal_edges"]
    assert card["n_edges"] == len(edges) == mask.sum()
    assert card["share_of_edges"] == len(edges) / GRAPH.n_edges
    assert np.mean([row["faithfulness"] for row in card["faithfulness"]]) >= 0.85
    assert edges["in_circuit"].all()


def test_page_and_exported_readme_show_the_same_lines_ten_of_which_load_and_steer():
    templates = Environment(loader=FileSystemLoader(REPOSITORY / "workflow/report"))
    lines = templates.get_template("steer.py.j2").render(vector_models=["pocket-llama"])
    assert lines_of(PAGE).strip() == lines.strip()
    load_and_steer, _, _ = lines.rpartition("\n\n")
    assert len([line for line in load_and_steer.splitlines() if line]) == 10


TEXTS = [
    "How do I bake bread?",
    "Hello!",
    "Tell me a long story about the otter, please, and about rivers.",
    "Hm",
]
LAYER, N_NEW = 2, 64


@pytest.fixture
def exported(tiny, tmp_path, monkeypatch):
    """A folder with an exported vector of a tiny model, whose weights lie where the card says."""
    monkeypatch.chdir(tmp_path)
    source = Path("resources/models/pocket-llama")
    weights = copy.deepcopy(tiny.plain)
    weights.generation_config.eos_token_id = list(tiny.model.card.end_of_turn_ids)
    weights.generation_config.pad_token_id = tiny.model.pad_id
    weights.save_pretrained(source)
    tiny.model.tokenizer.save_pretrained(source)
    vector = torch.randn(tiny.model.card.d_model, generator=torch.Generator().manual_seed(3)).numpy()
    model = {**tiny.model.card.to_json(), "source": str(source), "revision": FOLDER_SHA256}
    card = vector_card(model, {**MADE, "layer": LAYER}, vector, **WAYS)
    stem = tmp_path / "results/export/vectors/pocket-llama/dim"
    write_arrays(stem.with_suffix(".safetensors"), {"vector": vector})
    write_json(stem.with_suffix(".json"), card)
    return torch.from_numpy(vector), card["coefficients"]


def decoded(tiny, steering) -> list[list[int]]:
    """What this study's own cached decoding writes."""
    prompts = render_chat(tiny.model.tokenizer, TEXTS, context=256)
    ways = {"max_new_tokens": N_NEW, "batch_size": 4}
    return [list(each.token_ids) for each in generate(tiny.model, prompts, steering=steering, **ways)]


@pytest.mark.parametrize("direction", ["induce", "bypass"])
def test_lines_of_the_page_steer_as_this_study_does(tiny, exported, direction, capsys):
    vector, coefficients = exported
    uniform = {"layer": LAYER, "coefficients": [coefficients[direction]] * len(TEXTS)}
    ours = decoded(tiny, Steering.uniform(vector, **uniform))
    assert ours != decoded(tiny, None)

    names = run_lines(
        lines_of(PAGE), folder=Path("results/export"), vector="pocket-llama/dim", direction=direction
    )
    shown = capsys.readouterr().out.strip()
    prompt, *_ = render_chat(tiny.model.tokenizer, TEXTS, context=256)
    assert shown == tiny.model.tokenizer.decode([*prompt, *ours[0]]).strip()
    for text, expected in zip(TEXTS, ours, strict=True):
        (found,) = answer(names, [text], max_new_tokens=N_NEW)
        assert found == expected
    together = answer(names, TEXTS, max_new_tokens=N_NEW)
    assert all(begins_with(found, expected) for found, expected in zip(together, ours, strict=True))
