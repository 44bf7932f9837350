"""A GGUF file, as llama.cpp and ollama keep models, to a folder as the hub has them: dequantised safetensors, config, tokenizer, template.

transformers reads the file. It passes over in silence what it does not know, and would then compute another model than the file's own,
so everything that a file asks for is checked here first: an unknown key or tensor is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, LlamaFileType, dequantize
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.integrations.ggml import GGUF_CONFIG_MAPPING
from transformers.utils.logging import disable_progress_bar

from steering_study.models.card import GGUF_ORIGIN
from steering_study.models.loading import Loaded, require_whole
from steering_study.store.artifacts import sha256_of, write_json

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma2", "phi3")  # as GGUF calls them; Mistral's are llama
ROPE_FACTORS = "rope_freqs.weight"
LLAMA_3_FACTORS = (8.0, 32.0)  # of Llama 3.1 and 3.2
_LLAMA_3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
_TENSOR = re.compile(
    r"(token_embd|output|output_norm|blk\.\d+\.(attn_(norm|q|k|v|qkv|output|q_norm|k_norm)|ffn_(norm|gate|up|down)|post_(attention|ffw)_norm))"
    r"\.(weight|bias)"
)
# Keys that transformers' reader leaves aside: name in its config, where the value must be what the config has anyway
_CHECKED = {
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
    "rope.dimension_count": "head_dim",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "attention.sliding_window": "sliding_window",
}
_ERRORS = (ValueError, KeyError, IndexError, TypeError, OverflowError, OSError, UnicodeDecodeError)


@dataclass(frozen=True)
class Origin:
    """Which file a folder is made from."""

    file: str
    sha256: str
    quantisation: str  # as llama.cpp names it: Q4_K_M
    name: str  # that the file gives itself


def unpack_gguf(path: Path, folder: Path, *, sha256: str | None) -> Origin:
    """Write a GGUF file as a folder of float32 safetensors.

    Args:
        sha256: what the file must have; None for whatever it has.

    Raises:
        ValueError: if the file is not that one, cut off or of another kind, of a family that is not covered, without a chat
            template, or asks for something that would be left out.
    """
    found = sha256_of(path)
    if sha256 is not None and found != sha256:
        raise ValueError(
            f"{path} has sha256 {found}, model_options.<name>.sha256 says {sha256}; fetch the file again, or correct the config"
        )
    reader = _open(path)
    values = _check(path, reader)
    disable_progress_bar()
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, output_loading_info=True
    )
    read, report = loaded
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    require_whole(
        Loaded(read, sorted(report["missing_keys"]), sorted(report["unexpected_keys"])), name=str(path)
    )
    settings = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    if (factor := _rope_factor(path, reader, settings)) is not None:
        settings["rope_parameters"] |= {"rope_type": "llama3", "factor": factor, **_LLAMA_3}
    _compare(path, values, settings)
    # transformers refuses to save what its config calls quantised; the weights are dequantised already
    model = type(read)(type(read.config)(**settings))
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    origin = Origin(path.name, found, _quantisation(reader), _text(reader, "general.name") or path.stem)
    write_json(folder / GGUF_ORIGIN, vars(origin))
    return origin


def _open(path: Path) -> GGUFReader:
    """The file's header and places of its tensors.

    Raises:
        ValueError: if it is cut off, or no GGUF file.
    """
    try:
        reader = GGUFReader(path)
    except _ERRORS as error:
        raise ValueError(
            f"{path} is no whole GGUF file ({' '.join(str(error).split())[:120]}); it is cut off or of another kind, fetch it again"
        ) from error
    ends = [int(tensor.data_offset) + int(tensor.n_bytes) for tensor in reader.tensors]
    if max(ends, default=0) > path.stat().st_size or not ends:
        raise ValueError(f"{path} is no whole GGUF file: it ends before its weights do; fetch it again")
    return reader


def _check(path: Path, reader: GGUFReader) -> dict[str, Any]:
    """Refuse what transformers would not read; the values of keys that have to agree with its config."""
    architecture = _text(reader, "general.architecture")
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"{path} holds a {architecture or 'nameless'} model; covered are {', '.join(ARCHITECTURES)} (docs/models.md)"
        )
    if not _text(reader, "tokenizer.chat_template"):
        raise ValueError(
            f"{path} has no chat template (tokenizer.chat_template); the study needs an instruction-tuned model"
        )
    if (n := reader.get_field("split.count")) is not None and int(n.contents()) > 1:
        raise ValueError(
            f"{path} is one of {int(n.contents())} parts; join them first (llama-gguf-split --merge), and name the whole file"
        )
    mapped = {key for key, value in GGUF_CONFIG_MAPPING[architecture].items() if value is not None}
    values = {}
    for key, field in reader.fields.items():
        prefix, _, name = key.partition(".")
        if prefix != architecture or name in mapped or name == "vocab_size":
            continue
        if name == "rope.scaling.type" and field.contents() == "none":
            continue
        if name not in _CHECKED:
            raise ValueError(
                f"{path} asks for {key} = {field.contents()!r}, which transformers' reader of GGUF leaves out; take the model's folder from "
                "the hub instead"
            )
        values[name] = field.contents()
    for tensor in reader.tensors:
        if tensor.name != ROPE_FACTORS and not _TENSOR.fullmatch(tensor.name):
            raise ValueError(
                f"{path} holds {tensor.name}, which transformers' reader of GGUF leaves out; take the model's folder from the hub instead"
            )
    return values


def _compare(path: Path, values: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse a file whose model would not be the one that its config describes."""
    for name, value in values.items():
        key = _CHECKED[name]
        had = settings.get(key)
        if had is None and key == "head_dim":
            had = settings["hidden_size"] // settings["num_attention_heads"]
        if had is None and key == "sliding_window" and value >= settings["max_position_embeddings"]:
            continue
        if had is None or not math.isclose(float(value), float(had), rel_tol=1e-6):
            raise ValueError(
                f"{path} says {name} = {value}, but transformers reads it as a model with {key} = {had}; take the model's folder from the "
                "hub instead"
            )


def _rope_factor(path: Path, reader: GGUFReader, settings: Mapping[str, Any]) -> float | None:
    """Factor of Llama 3's scaled rotary embedding, which a file keeps as the divisors of each frequency.

    Raises:
        ValueError: if they are those of another scaling.
    """
    kept = next((tensor for tensor in reader.tensors if tensor.name == ROPE_FACTORS), None)
    if kept is None:
        return None
    divisors = np.asarray(dequantize(kept.data, kept.tensor_type), dtype=np.float64).reshape(-1)
    head = settings.get("head_dim") or settings["hidden_size"] // settings["num_attention_heads"]
    for factor in LLAMA_3_FACTORS:
        expected = llama_3_divisors(head, settings["rope_parameters"]["rope_theta"], factor)
        if len(expected) == len(divisors) and np.allclose(divisors, expected, rtol=1e-4):
            return factor
    raise ValueError(
        f"{path} scales its rotary embedding ({ROPE_FACTORS}) otherwise than Llama 3.1 and 3.2; take the model's folder from the hub instead"
    )


def llama_3_divisors(d_head: int, theta: float, factor: float) -> np.ndarray:
    """What Llama 3 divides each rotary frequency by (transformers' `rope_type` llama3).

    With wavelength l = 2 pi theta^(2i/d): 1 for l < 2048, the factor for l > 8192, and between them 1/((1 - s)/factor + s) with
    s = (8192/l - 1) / 3.
    """
    wavelength = 2 * math.pi * theta ** (np.arange(0, d_head, 2) / d_head)
    low, high = _LLAMA_3["low_freq_factor"], _LLAMA_3["high_freq_factor"]
    context = _LLAMA_3["original_max_position_embeddings"]
    smooth = (context / wavelength - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    return np.where(wavelength < context / high, 1.0, np.where(wavelength > context / low, factor, between))


def _text(reader: GGUFReader, key: str) -> str:
    field = reader.get_field(key)
    return "" if field is None else str(field.contents())


def _quantisation(reader: GGUFReader) -> str:
    """Name of the kinds of numbers that the weights were kept as."""
    field = reader.get_field("general.file_type")
    if field is None:
        return "unnamed"
    try:
        return LlamaFileType(int(field.contents())).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return f"file type {field.contents()}"
