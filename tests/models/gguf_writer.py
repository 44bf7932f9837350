"""Tiny models as GGUF files, written with the package's own writer as llama.cpp's converter would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quantize

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(path: Path, model: Any, tokenizer: Any, *, architecture: str, **changes: Any) -> Path:
    """Write a model and its tokenizer.

    Args:
        changes: template (None: none), keys (more keys, with the architecture's prefix), tensors (more of them), quantise (a type
            for the matrices of the MLPs).
    """
    config = model.config
    writer = GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_file_type(0)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    if architecture == "llama":
        writer.add_rope_dimension_count(config.head_dim)
    for key, value in changes.get("keys", {}).items():
        add = writer.add_string if isinstance(value, str) else writer.add_float32
        add(f"{architecture}.{key}", value)
    _add_tokenizer(writer, tokenizer, template=changes.get("template", tokenizer.chat_template))
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = weight.float().numpy()
        if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            n_heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            values = _interleave(values, n_heads)
        kind = changes.get("quantise") if ".mlp." in name else None
        if kind is None:
            writer.add_tensor(_gguf_name(name), values)
        else:
            packed = quantize(values, kind)
            writer.add_tensor(_gguf_name(name), packed, raw_dtype=kind)
    for name, values in changes.get("tensors", {}).items():
        writer.add_tensor(name, np.asarray(values, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


Q8 = GGMLQuantizationType.Q8_0


def _add_tokenizer(writer: GGUFWriter, tokenizer: Any, *, template: str | None) -> None:
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    added = {token["content"] for token in described["added_tokens"]}
    tokens = [tokenizer.convert_ids_to_tokens(i) for i in range(len(tokenizer))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in added else TokenType.NORMAL for token in tokens])
    writer.add_token_merges(
        [pair if isinstance(pair, str) else " ".join(pair) for pair in described["model"]["merges"]]
    )
    writer.add_eos_token_id(tokenizer.eos_token_id)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)


def _gguf_name(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, block, rest = stem.split(".", 3)
        return f"blk.{block}.{NAMES[rest]}.{suffix}"
    return f"{NAMES[stem]}.{suffix}"


def _interleave(values: np.ndarray, n_heads: int) -> np.ndarray:
    """llama.cpp rotates neighbouring dimensions, transformers those half a head apart: rows of each head change places."""
    by_half = values.reshape(n_heads, 2, values.shape[0] // n_heads // 2, *values.shape[1:])
    return by_half.swapaxes(1, 2).reshape(values.shape)
