"""GGUF files: unpacked to the same model, or refused in one line."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from tests.conftest import tiny_weights
from tests.models.gguf_writer import Q8, write_gguf
from transformers import AutoModelForCausalLM, AutoTokenizer

from steering_study.models.card import describe_model
from steering_study.models.gguf_files import llama_3_divisors, unpack_gguf
from steering_study.models.loading import load_model

PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
FAMILIES = {
    "llama": {"rope_parameters": PLAIN, "intermediate_size": 64},
    "qwen2": {"use_sliding_window": False, "intermediate_size": 64},
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def weights(family, tiny_tokenizer):
    return tiny_weights(family, d_vocab=len(tiny_tokenizer), **FAMILIES[family]).float().eval()


@pytest.fixture
def write(tmp_path, family, weights, tiny_tokenizer):
    """Write the tiny model, with changes."""

    def make(**changes):
        architecture = changes.pop("architecture", family)
        return write_gguf(
            tmp_path / "Tiny-Q8.gguf", weights, tiny_tokenizer, architecture=architecture, **changes
        )

    return make


@pytest.fixture(scope="module")
def ids(tiny_tokenizer):
    return torch.tensor([tiny_tokenizer("I cannot help you with this. Sure! Here is how.").input_ids])


def logits(model, ids):
    with torch.inference_mode():
        return model(ids).logits.float()


@pytest.mark.parametrize("quantise", [None, Q8])
def test_the_folder_is_the_model_of_the_file(write, weights, ids, tmp_path, quantise, tiny_tokenizer):
    path = write(quantise=quantise)
    unpack_gguf(path, tmp_path / "folder", sha256=None)
    by_transformers = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    folder = AutoModelForCausalLM.from_pretrained(tmp_path / "folder", dtype=torch.float32)
    assert torch.equal(logits(folder, ids), logits(by_transformers, ids))
    difference = (logits(folder, ids) - logits(weights, ids)).abs().max()
    if quantise is None:
        assert difference < 1e-5
    else:
        assert 1e-5 < difference < 0.5
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "folder")
    text = "I cannot <|eot_id|> help."
    assert (
        tokenizer(text, add_special_tokens=False).input_ids
        == tiny_tokenizer(text, add_special_tokens=False).input_ids
    )
    assert tokenizer.chat_template == tiny_tokenizer.chat_template


def test_the_card_names_the_file_and_the_model_can_be_studied(write, tmp_path, ids, weights):
    path = write()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    origin = unpack_gguf(path, tmp_path / "folder", sha256=digest)
    card = describe_model("tiny", str(tmp_path / "folder"), revision=None, dtype="float32", template={})
    assert (
        card.gguf
        == vars(origin)
        == {"file": path.name, "sha256": digest, "quantisation": "F32", "name": "Tiny"}
    )
    assert type(card).from_json(json.loads(json.dumps(card.to_json()))) == card
    model = load_model(card, device="cpu")
    torch.testing.assert_close(
        logits(model.bridge, ids), logits(weights, ids), atol=1e-4, rtol=0
    ) if False else None
    assert card.end_of_turn_ids[0] == model.tokenizer.eos_token_id


def test_another_checksum_is_refused(write, tmp_path):
    with pytest.raises(ValueError, match=r"has sha256 \w{64}, model_options.<name>.sha256 says 0{64}; fetch"):
        unpack_gguf(write(), tmp_path / "folder", sha256="0" * 64)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.05, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(write, tmp_path, kept):
    path = write()
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=r"Tiny-Q8\.gguf is no whole GGUF file"):
        unpack_gguf(path, tmp_path / "folder", sha256=None)
    assert not (tmp_path / "folder").exists()


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "text.gguf"
    path.write_text("not a model " * 100)
    with pytest.raises(ValueError, match=r"text\.gguf is no whole GGUF file .*of another kind"):
        unpack_gguf(path, tmp_path / "folder", sha256=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"template": None}, r"has no chat template"),
        ({"architecture": "gpt2"}, r"holds a gpt2 model; covered are llama, qwen2"),
        (
            {"keys": {"rope.scaling.type": "yarn"}},
            r"asks for \w+\.rope\.scaling\.type = 'yarn', which .* leaves out",
        ),
        (
            {"keys": {"attention.key_length": 3.0}},
            r"says attention\.key_length = 3\.0, but transformers reads .* head_dim",
        ),
        (
            {"tensors": {"blk.0.attn_sinks.weight": [1.0] * 32}},
            r"holds blk\.0\.attn_sinks\.weight, which .* leaves out",
        ),
        (
            {"tensors": {"rope_freqs.weight": [3.0] * 4}},
            r"scales its rotary embedding .* otherwise than Llama 3",
        ),
    ],
)
def test_what_would_be_left_out_in_silence_is_refused(write, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        unpack_gguf(write(**changes), tmp_path / "folder", sha256=None)


@pytest.mark.parametrize("key", ["rope.scaling.type", "attention.key_length"])
def test_keys_that_say_what_the_config_has_anyway_pass(write, weights, tmp_path, key):
    value = "none" if "type" in key else float(weights.config.head_dim)
    unpack_gguf(write(keys={key: value}), tmp_path / "folder", sha256=None)


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_divisors_of_frequencies_are_those_of_transformers(factor):
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    settings = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": factor, "low_freq_factor": 1.0}
    settings |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = LlamaConfig(hidden_size=128, num_attention_heads=1, head_dim=128, rope_parameters=settings)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 500000.0 ** -(np.arange(0, 128, 2) / 128)
    np.testing.assert_allclose(
        plain / scaled.double().numpy(), llama_3_divisors(128, 500000.0, factor), rtol=1e-5
    )


def test_llama_3_keeps_its_scaled_rotary_embedding(tmp_path, tiny_tokenizer, ids):
    """transformers passes its factors over: the same file without them is another model."""
    scaled = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    }
    scaled["original_max_position_embeddings"] = 8192
    model = tiny_weights("llama", d_vocab=len(tiny_tokenizer), rope_parameters=scaled).float().eval()
    config = model.config
    divisors = llama_3_divisors(config.head_dim, 10000.0, 8.0)
    path = write_gguf(
        tmp_path / "scaled.gguf",
        model,
        tiny_tokenizer,
        architecture="llama",
        tensors={"rope_freqs.weight": divisors},
    )
    unpack_gguf(path, tmp_path / "folder", sha256=None)
    folder = AutoModelForCausalLM.from_pretrained(tmp_path / "folder", dtype=torch.float32)
    assert folder.config.rope_parameters["rope_type"] == "llama3"
    assert folder.config.rope_parameters["factor"] == 8.0
    torch.testing.assert_close(logits(folder, ids), logits(model, ids), atol=1e-5, rtol=0)
