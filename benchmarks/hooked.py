"""The plain formulation of attribution on HookedTransformer, which TransformerLens had up to 3.9.

EAP-IG's reference code needs that class. It lives in a folder of its own, `.venv/transformer-lens-3`, which `make bench`
fills, and hides the study's TransformerLens 4 in the one process that has the folder first on its path.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attribution import best_of, plain_scores, random_rows


def main() -> None:
    """Measure the plain formulation on HookedTransformer and print what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="folder of the random Llama")
    parser.add_argument("--layer", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    arguments = parser.parse_args()
    print(json.dumps(best_of(_plain(arguments.model, arguments.layer), arguments.repeats)))


def _plain(source: str, layer: int) -> Callable[[], dict]:
    from steering_study.circuits.graph import Graph

    model = hooked_model(source)
    cfg = model.cfg
    vector, prompts, responses = random_rows(cfg.d_vocab, cfg.d_model)
    return lambda: plain_scores(
        model,
        lambda ids: model(ids, return_type="logits"),
        Graph(cfg.n_layers, layer, cfg.n_heads, cfg.n_key_value_heads),
        vector,
        (prompts, responses),
        mlp_in="blocks.{}.hook_mlp_in",
        head_in=f"blocks.{cfg.n_layers - 1}.hook_resid_post",
    )


def hooked_model(source: str) -> Any:
    """A Llama in a folder as HookedTransformer, weights as they are, with the flags that EAP-IG sets."""
    import torch
    from transformers import LlamaForCausalLM

    lens: Any = importlib.import_module("transformer_lens")  # 3.9 here, unknown to a type checker
    conversions: Any = importlib.import_module("transformer_lens.pretrained.weight_conversions")
    read = LlamaForCausalLM.from_pretrained(Path(source), dtype=torch.float32)
    config = read.config
    cfg = lens.HookedTransformerConfig(
        d_model=config.hidden_size,
        d_head=config.head_dim,
        n_heads=config.num_attention_heads,
        n_key_value_heads=config.num_key_value_heads,
        d_mlp=config.intermediate_size,
        n_layers=config.num_hidden_layers,
        n_ctx=config.max_position_embeddings,
        eps=config.rms_norm_eps,
        d_vocab=config.vocab_size,
        act_fn=config.hidden_act,
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_adjacent_pairs=False,
        rotary_dim=config.head_dim,
        final_rms=True,
        gated_mlp=True,
        use_split_qkv_input=True,
        use_attn_result=True,
        use_hook_mlp_in=True,
        device="cpu",
    )
    model = lens.HookedTransformer(cfg)
    model.load_and_process_state_dict(
        conversions.convert_llama_weights(read, cfg),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
        refactor_factored_attn_matrices=False,
    )
    return model


if __name__ == "__main__":
    main()
