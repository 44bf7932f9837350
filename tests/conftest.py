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
REPOSITORY = Path(__file__).parents[1]
FAMILIES = ("llama", "gemma2", "qwen2", "qwen3")
MIXTURE = {  # shares of a corpus that tokenizers are trained on
    "harmful_neutral": 0.3,
    "harmful_permit": 0.15,
    "harmful_forbid": 0.04,
    "harmless_permit": 0.08,
    "harmless_forbid": 0.1,
    "recovery": 0.35,
    "mention": 0.35,
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


def tiny_weights(family: str, *, d_vocab: int, n_layers: int = 4) -> Any:
    """A random model of a family: 4 query heads, 2 key-value heads, wide weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    common = {
        "vocab_size": d_vocab,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
        "attn_implementation": "eager",
    }
    if family == "llama":
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**common))
    elif family == "gemma2":
        extra = {"query_pre_attn_scalar": 8, "sliding_window": 8, "attn_logit_softcapping": 5.0}
        model = transformers.Gemma2ForCausalLM(
            transformers.Gemma2Config(**common, **extra, final_logit_softcapping=8.0)
        )
    elif family == "qwen2":
        model = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**common))
    else:
        model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**common))
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
    """A tiny model of each family."""
    return make_tiny(request.param, tiny_tokenizer)


@pytest.fixture(scope="session")
def tiny_llama(tiny_tokenizer: Any) -> Tiny:
    """A tiny Llama."""
    return make_tiny("llama", tiny_tokenizer)


@pytest.fixture(scope="session", params=FAMILIES)
def exact(request: pytest.FixtureRequest, tiny_tokenizer: Any) -> Tiny:
    """A tiny model of each family in float64."""
    return make_tiny(request.param, tiny_tokenizer, dtype="float64")


def make_tiny(family: str, tokenizer: Any, *, dtype: str = "float32") -> Tiny:
    """Build and bridge a tiny model."""
    import torch

    from steering_study.models import ChatModel, ModelCard, bridge_of
    from steering_study.prompts import post_instruction_ids

    weights = tiny_weights(family, d_vocab=len(tokenizer)).to(getattr(torch, dtype))
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
        template_sha256="none",
    )
    bridge = bridge_of(weights, tokenizer, name=f"tiny-{family}")
    return Tiny(ChatModel(bridge=bridge, tokenizer=tokenizer, card=card), plain)
