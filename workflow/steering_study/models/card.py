"""Describe a model without loading its weights: family, shapes, revision, chat template, end-of-turn tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase
from transformers.utils import GENERATION_CONFIG_NAME

from steering_study.models.adapters import has_adapter
from steering_study.models.batches import TokenIds
from steering_study.models.chat import Variables, closing_id, control_tokens, post_instruction_ids
from steering_study.models.hub import check_weight_files, reachable
from steering_study.store.artifacts import read_json, sha256_of

FAMILIES = (
    "LlamaForCausalLM",
    "Gemma2ForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "MistralForCausalLM",
    "Phi3ForCausalLM",
)
GGUF_ORIGIN = "gguf.json"  # in a folder that a GGUF file was unpacked to
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class ModelCard:
    """What the study needs to know of a model without loading its weights."""

    name: str
    source: str  # local folder or hub id
    revision: str  # hub commit, or sha256 of a local folder's weights
    architecture: str
    dtype: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    context: int
    end_of_turn_ids: TokenIds
    post_instruction_ids: TokenIds
    post_instruction_tokens: tuple[str, ...]
    template: Variables  # what the chat template is given
    template_sha256: str
    control_tokens: tuple[str, ...]  # as they are spelled; in a prompt they are text
    gguf: Mapping[str, str] | None = (
        None  # file, sha256, quantisation and name of the GGUF file that it was unpacked from
    )

    def to_json(self) -> dict[str, Any]:
        """The card as plain JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModelCard:
        """The card from `to_json`'s value."""
        lists = {key: tuple(item) for key, item in value.items() if isinstance(item, list)}
        return cls(**{**value, **lists})


def describe_model(
    name: str, source: str, *, revision: str | None, dtype: str, template: Variables
) -> ModelCard:
    """Read a model's config and tokenizer into a card.

    Args:
        template: what the chat template is given beside the message (`render_text`).

    Raises:
        ValueError: if the model cannot be reached, its family or its variant is not supported, it has no chat
            template or end-of-turn token, the template fails, it is an adapter, or a local folder holds no safetensors, or
            some that would not be read.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} of model {name!r} is unknown; expected one of {', '.join(DTYPES)}")
    refuse_adapter(name, source, revision=revision)
    with reachable(name, source, revision=revision):
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
    architecture = (config.architectures or ["none"])[0]
    if architecture not in FAMILIES:
        raise ValueError(
            f"model {name!r} is a {architecture}; its attention and norms are not covered. Supported: {', '.join(FAMILIES)}"
        )
    _check_variant(name, config)
    if tokenizer.chat_template is None:
        raise ValueError(f"model {name!r} has no chat template; the study needs an instruction-tuned model")
    if Path(source).is_dir() and not list(Path(source).glob("*.safetensors")):
        raise ValueError(
            f"model {name!r}: no *.safetensors in {source}; convert the weights, pickles are refused"
        )
    check_weight_files(f"model {name!r}", Path(source))
    suffix = post_instruction_ids(tokenizer, variables=template)
    check_token_ids(suffix, tokenizer, d_vocab=config.vocab_size, where=f"chat template of model {name!r}")
    return ModelCard(
        name=name,
        source=source,
        revision=_revision(source, config),
        architecture=architecture,
        dtype=dtype,
        n_layers=config.num_hidden_layers,
        n_heads=config.num_attention_heads,
        n_kv_heads=config.num_key_value_heads,
        d_model=config.hidden_size,
        d_head=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        d_mlp=config.intermediate_size,
        d_vocab=config.vocab_size,
        context=_context(config),
        end_of_turn_ids=_end_of_turn_ids(name, source, revision, tokenizer, template),
        post_instruction_ids=suffix,
        post_instruction_tokens=tuple(tokenizer.convert_ids_to_tokens(list(suffix))),
        template=template,
        template_sha256=hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest(),
        control_tokens=tuple(sorted(control_tokens(tokenizer))),
        gguf=_gguf_origin(Path(source)),
    )


def _gguf_origin(folder: Path) -> dict[str, str] | None:
    path = folder / GGUF_ORIGIN
    return read_json(path) if path.is_file() else None


def check_token_ids(
    ids: Sequence[int], tokenizer: PreTrainedTokenizerBase, *, d_vocab: int, where: str
) -> None:
    """Refuse tokens that the tokenizer knows and the model has no weights for.

    Raises:
        ValueError: naming the first of them, and where it stands.
    """
    if beyond := [each for each in ids if each >= d_vocab]:
        raise ValueError(
            f"{where}: token {tokenizer.convert_ids_to_tokens(beyond[0])!r} has id {beyond[0]}, but the model has weights "
            f"for {d_vocab} tokens; take the tokenizer that belongs to the model"
        )


def refuse_adapter(name: str, source: str, *, revision: str | None) -> None:
    """Refuse an adapter, alone or beside a whole model: nothing would read its weights.

    Raises:
        ValueError: saying so.
    """
    if has_adapter(source, revision=revision):
        raise ValueError(
            f"model {name!r}: {source} holds a low-rank adapter (adapter_config.json), which is not read; merge it into its "
            "base model, or take its files out"
        )


def _check_variant(name: str, config: Any) -> None:
    """Refuse what a supported family may have and `blocks` has not.

    Raises:
        ValueError: naming it.
    """
    for key, meaning in (
        ("attention_bias", "biases in its attention's output"),
        ("mlp_bias", "biases in its MLPs"),
        ("quantization_config", "quantised weights"),
    ):
        if getattr(config, key, None):
            raise ValueError(
                f"model {name!r} has {meaning} ({key} in its config.json), which are not covered; take a "
                "checkpoint without them"
            )


def _context(config: Any) -> int:
    """Positions that a text may take.

    Where the rotary frequencies change with the length of the longest text beside it (Phi-3's longrope), as far as they
    do not: beyond, a text would depend on its batch.
    """
    rope = config.rope_parameters
    if rope.get("rope_type") in ("longrope", "dynamic"):
        return rope.get("original_max_position_embeddings") or config.max_position_embeddings
    return config.max_position_embeddings


def _revision(source: str, config: Any) -> str:
    if Path(source).is_dir():
        return folder_revision(Path(source))
    return getattr(config, "_commit_hash", None) or "unknown"


def folder_revision(folder: Path) -> str:
    """Sha256 over the digests of the weight and tokenizer files of a local model."""
    names = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja")])
    return hashlib.sha256("".join(f"{p.name} {sha256_of(p)}\n" for p in names).encode()).hexdigest()


def _end_of_turn_ids(
    name: str,
    source: str,
    revision: str | None,
    tokenizer: PreTrainedTokenizerBase,
    template: Variables,
) -> TokenIds:
    """End-of-turn ids of the generation config, or of the tokenizer where it lists none, and what the template closes with.

    The model was taught the template's token: a list without it would let every text run on behind a hidden end.
    """
    try:
        listed = GenerationConfig.from_pretrained(source, revision=revision or "main").eos_token_id
    except OSError as error:
        if (Path(source) / GENERATION_CONFIG_NAME).is_file():
            raise ValueError(
                f"model {name!r}: {source}/{GENERATION_CONFIG_NAME} cannot be read ({error}); correct or delete it"
            ) from error
        listed = None
    found = [tokenizer.eos_token_id] if listed in (None, []) else listed
    ids = [*(found if isinstance(found, list) else [found]), closing_id(tokenizer, variables=template)]
    known = tuple(dict.fromkeys(int(each) for each in ids if each is not None))
    if not known:
        raise ValueError(
            f"model {name!r} names no end-of-turn token in generation_config.json, its tokenizer or its chat template"
        )
    return known
