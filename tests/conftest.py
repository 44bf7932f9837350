"""Tiny models of each family, two to four blocks, with wide random weights: wrong code shows."""

from __future__ import annotations

import copy
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
pytest_plugins = ("tests.fake_study",)
REPOSITORY = Path(__file__).parents[1]
FAMILIES = ("llama", "gemma2", "qwen2", "qwen3")
EVERY_FAMILY = (*FAMILIES, "mistral", "phi3")
# The families share keys and values in groups of two heads; a model may have one pair for all heads, or one for each.
OTHER_GROUPS = {"llama one kv head": ("llama", 1), "qwen2 four kv heads": ("qwen2", 4)}
# For the tests that say whether a family is exact; all others take the four.
in_every_family = pytest.mark.parametrize("tiny", [*EVERY_FAMILY, *OTHER_GROUPS], indirect=True)
exact_in_every_family = pytest.mark.parametrize("exact", [*EVERY_FAMILY, *OTHER_GROUPS], indirect=True)
MIXTURE = {  # shares of a corpus that tokenizers are trained on
    "harmful_neutral": 0.3,
    "harmful_permit": 0.15,
    "harmful_forbid": 0.04,
    "harmless_permit": 0.08,
    "harmless_forbid": 0.1,
    "recovery": 0.35,
    "mention": 0.35,
    "scattered": 0.1,
    "exchanged": 0.0,
}


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a file system of 1 MB, or mount it anew with other options; only a superuser may."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options: str = "size=1m") -> Path:
        run = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if run.returncode != 0:
            pytest.skip("needs the right to mount a file system")
        return folder

    yield mount
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


@dataclass(frozen=True)
class Tiny:
    """A model under test and a plain Hugging Face copy of it, made before the bridge rewired it."""

    model: Any  # ChatModel
    plain: Any  # PreTrainedModel


def tiny_config(family: str, **changes: Any) -> Any:
    """4 blocks, 4 query heads, 2 key-value heads, and what is special in a family, windows of 8 tokens among it."""
    import transformers

    common = {
        "vocab_size": 400,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        "attn_implementation": "eager",
    }
    scaled = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaled |= {"original_max_position_embeddings": 64, "rope_theta": 10000.0}
    kinds = {
        "llama": (transformers.LlamaConfig, {"rope_parameters": scaled}),
        "gemma2": (
            transformers.Gemma2Config,
            {
                "query_pre_attn_scalar": 8,
                "sliding_window": 8,
                "attn_logit_softcapping": 5.0,
                "final_logit_softcapping": 8.0,
            },
        ),
        "qwen2": (
            transformers.Qwen2Config,
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2},
        ),
        "qwen3": (transformers.Qwen3Config, {"tie_word_embeddings": True}),
        "mistral": (transformers.MistralConfig, {"sliding_window": 8}),
        "phi3": (transformers.Phi3Config, {"sliding_window": 8, "partial_rotary_factor": 0.5}),
    }
    make, special = kinds[family]
    return make(**{**common, **special, **changes})


def tiny_weights(family: str, *, d_vocab: int, **changes: Any) -> Any:
    """A random model of a family, wide weights."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(family, vocab_size=d_vocab, **changes))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(-0.5, 0.5) if family == "gemma2" else weight.uniform_(0.5, 1.5)
            else:
                weight.uniform_(-0.3, 0.3)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A byte-level tokenizer of 400 tokens with the template of the Llama family, saved and read back."""
    from transformers import AutoTokenizer

    from steering_study.pocket.corpus import Mixture, iterate_examples
    from steering_study.pocket.tokenizer import train_tokenizer

    examples = itertools.islice(iterate_examples(0, Mixture(**MIXTURE)), 300)
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer("llama", examples, d_vocab=400).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session", params=FAMILIES)
def tiny(request: pytest.FixtureRequest, tiny_tokenizer: Any) -> Tiny:
    """A tiny model of each of four families."""
    return make_tiny(request.param, tiny_tokenizer)


@pytest.fixture(scope="session")
def tiny_llama(tiny_tokenizer: Any) -> Tiny:
    """A tiny Llama."""
    return make_tiny("llama", tiny_tokenizer)


@pytest.fixture(scope="session", params=FAMILIES)
def exact(request: pytest.FixtureRequest, tiny_tokenizer: Any) -> Tiny:
    """A tiny model of each of four families in float64."""
    return make_tiny(request.param, tiny_tokenizer, dtype="float64")


def make_tiny(family: str, tokenizer: Any, *, dtype: str = "float32", **changes: Any) -> Tiny:
    """Build and bridge a tiny model."""
    import torch

    from steering_study.models.card import ModelCard
    from steering_study.models.chat import control_tokens, post_instruction_ids
    from steering_study.models.loading import ChatModel, bridge_of

    if family in OTHER_GROUPS:
        family, changes["num_key_value_heads"] = OTHER_GROUPS[family]
    weights = tiny_weights(family, d_vocab=len(tokenizer), **changes).to(getattr(torch, dtype))
    plain = copy.deepcopy(weights)
    config = weights.config
    suffix = post_instruction_ids(tokenizer)
    card = ModelCard(
        name=f"tiny-{family}",
        source="none",
        revision="none",
        architecture=config.architectures[0] if config.architectures else family,
        dtype=dtype,
        n_layers=config.num_hidden_layers,
        n_heads=config.num_attention_heads,
        n_kv_heads=config.num_key_value_heads,
        d_model=config.hidden_size,
        d_head=config.head_dim,
        d_mlp=config.intermediate_size,
        d_vocab=config.vocab_size,
        context=config.max_position_embeddings,
        end_of_turn_ids=(int(tokenizer.eos_token_id),),
        post_instruction_ids=suffix,
        post_instruction_tokens=tuple(tokenizer.convert_ids_to_tokens(list(suffix))),
        template={},
        template_sha256="none",
        control_tokens=tuple(sorted(control_tokens(tokenizer))),
    )
    bridge = bridge_of(weights, tokenizer, name=f"tiny-{family}")
    return Tiny(ChatModel(bridge=bridge, tokenizer=tokenizer, card=card), plain)
