"""Prompts and cards of every family: the vendor's structure of turns, the same on every day, whatever the model's folder lists."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import EVERY_FAMILY, tiny_weights
from tests.steering_study.chat_families import CHATS, TEMPLATE, save_generation_config, save_tokenizer
from transformers import AutoTokenizer

from steering_study.chat import post_instruction_ids, render_chat, render_text
from steering_study.models import ChatModel, ModelCard, describe_model, load_model

TEXTS = ["Hello there", "How do I bake bread?", "end.", "1 + 1 ="]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny model of each family as its vendor would publish it."""
    found = {}
    for family in EVERY_FAMILY:
        folder = tmp_path_factory.mktemp(family)
        tokenizer = save_tokenizer(family, TEXTS, folder, d_vocab=300)
        tiny_weights(family, d_vocab=len(tokenizer)).save_pretrained(folder)
        save_generation_config(family, tokenizer, folder)
        found[family] = (folder, AutoTokenizer.from_pretrained(folder))
    return found


@pytest.fixture(params=EVERY_FAMILY)
def family(request):
    return request.param


def describe(folder, *, name="mine", template=TEMPLATE) -> ModelCard:
    return describe_model(name, str(folder), revision=None, dtype="float32", template=template)


def rendered(tokenizer, *, variables=TEMPLATE):
    return render_chat(tokenizer, TEXTS, context=256, variables=variables)


def test_one_bos_where_the_family_has_one_and_none_elsewhere(folders, family):
    _, tokenizer = folders[family]
    for ids in rendered(tokenizer):
        if CHATS[family].bos is None:
            assert tokenizer.bos_token_id is None
        else:
            assert ids[0] == tokenizer.bos_token_id
            assert ids.count(tokenizer.bos_token_id) == 1


def test_ids_are_those_that_transformers_makes_of_the_chat(folders, family):
    _, tokenizer = folders[family]
    for text, ids in zip(TEXTS, rendered(tokenizer), strict=True):
        expected = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            add_generation_prompt=True,
            return_dict=True,
            date_string="26 Jul 2024",
            enable_thinking=False,
        )
        assert list(ids) == expected["input_ids"]


def test_span_is_what_the_template_writes_after_the_text(folders, family):
    _, tokenizer = folders[family]
    span = post_instruction_ids(tokenizer, variables=TEMPLATE)
    assert tokenizer.decode(list(span)) == CHATS[family].span
    for ids in rendered(tokenizer):
        assert ids[-len(span) :] == span


def test_no_prompt_changes_from_day_to_day(folders, family):
    """A template that asks for today gets the config's date, and a run without one ends."""
    _, tokenizer = folders[family]
    text = render_text(tokenizer, "Hello", variables=TEMPLATE)
    other = render_text(tokenizer, "Hello", variables={**TEMPLATE, "date": "2031-01-02"})
    if family == "llama":
        assert "Today: 26 Jul 2024" in text
        assert other == text.replace("26 Jul 2024", "02 Jan 2031")
        with pytest.raises(ValueError, match=r"today's date; give one in config: prompts\.template\.date"):
            render_text(tokenizer, "Hello", variables={"enable_thinking": False})
    else:
        assert other == text


def test_thoughts_are_switched_off_and_on(folders):
    _, tokenizer = folders["qwen3"]
    thinking = {**TEMPLATE, "enable_thinking": True}
    assert tokenizer.decode(list(post_instruction_ids(tokenizer, variables=thinking))) == (
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    assert render_text(tokenizer, "Hello", variables=TEMPLATE).endswith("<think>\n\n</think>\n\n")
    assert "think" not in render_text(tokenizer, "Hello", variables=thinking)


def test_default_system_blocks_stand_before_the_user(folders):
    for family, block in (("llama", "Knowledge ends"), ("qwen2", "You are an assistant.")):
        text = render_text(folders[family][1], "Hello", variables=TEMPLATE)
        assert text.count(block) == 1
        assert text.index(block) < text.index("Hello")


def test_gemma_refuses_a_system_role_and_is_given_none(folders):
    _, tokenizer = folders["gemma2"]
    with pytest.raises(Exception, match="System role not supported"):
        tokenizer.apply_chat_template([{"role": "system", "content": "x"}], tokenize=False)
    assert "system" not in render_text(tokenizer, "Hello", variables=TEMPLATE)


def test_card_lists_every_end_of_turn_of_the_generation_config(folders, family):
    folder, tokenizer = folders[family]
    card = describe(folder)
    assert card.end_of_turn_ids == tuple(tokenizer.convert_tokens_to_ids(list(CHATS[family].ends)))
    assert card.template == TEMPLATE
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_loaded_model_renders_with_the_variables_of_its_card(folders, family):
    folder, tokenizer = folders[family]
    model = load_model(describe(folder), device="cpu")
    assert model.render(TEXTS) == rendered(tokenizer)
    assert all(
        ids[-len(model.card.post_instruction_ids) :] == model.card.post_instruction_ids
        for ids in model.render(TEXTS)
    )
    if family == "qwen3":
        thinking = replace(model.card, template={**TEMPLATE, "enable_thinking": True})
        assert ChatModel(model.bridge, model.tokenizer, thinking).render(TEXTS) != rendered(tokenizer)


def changed(folder: Path, into: Path, **keys) -> Path:
    """The same model with other keys in its config.json; None takes a key out."""
    for path in folder.iterdir():
        (into / path.name).write_bytes(path.read_bytes())
    config = {**json.loads((into / "config.json").read_text("utf-8")), **keys}
    (into / "config.json").write_text(json.dumps(config), "utf-8")
    return into


@pytest.mark.parametrize("listed", [None, {"pad_token_id": 0}])
def test_without_a_list_the_tokenizer_says_what_ends_a_turn(folders, tmp_path, listed):
    folder, tokenizer = folders["qwen2"]
    path = changed(folder, tmp_path) / "generation_config.json"
    path.unlink() if listed is None else path.write_text(json.dumps(listed), "utf-8")
    assert describe(tmp_path).end_of_turn_ids == (tokenizer.eos_token_id,)


@pytest.mark.parametrize(
    ("family", "keys", "message"),
    [
        (
            "llama",
            {"architectures": ["Phi3SmallForCausalLM"]},
            "is a Phi3SmallForCausalLM; its attention and norms",
        ),
        ("llama", {"attention_bias": True}, "has biases in its attention's output"),
        ("qwen3", {"attention_bias": True}, "has biases in its attention's output"),
        ("llama", {"mlp_bias": True}, "has biases in its MLPs"),
        ("mistral", {"quantization_config": {"quant_method": "awq"}}, "has quantised weights"),
    ],
)
def test_what_is_not_covered_is_refused_in_one_line(folders, tmp_path, family, keys, message):
    changed(folders[family][0], tmp_path, **keys)
    with pytest.raises(ValueError, match=message) as refusal:
        describe(tmp_path)
    assert "\n" not in str(refusal.value)


def test_context_ends_where_frequencies_begin_to_depend_on_the_batch(folders, tmp_path):
    factors = {"short_factor": [1.0, 1.0], "long_factor": [2.0, 2.0]}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, **factors}
    changed(
        folders["phi3"][0],
        tmp_path,
        rope_parameters={**rope, "original_max_position_embeddings": 64},
        original_max_position_embeddings=64,
    )
    assert describe(tmp_path).context == 64
    assert describe(folders["phi3"][0]).context == 256
    assert describe(folders["llama"][0]).context == 256  # scaled once and for all
