"""Cards of models of three sizes."""

from __future__ import annotations

POCKET = {"n_layers": 8, "n_heads": 8, "n_kv_heads": 4, "d_model": 128, "d_head": 16, "d_mlp": 384}
GEMMA = {"n_layers": 26, "n_heads": 8, "n_kv_heads": 4, "d_model": 2304, "d_head": 256, "d_mlp": 9216}
LLAMA = {"n_layers": 28, "n_heads": 24, "n_kv_heads": 8, "d_model": 3072, "d_head": 128, "d_mlp": 8192}
POCKET |= {"d_vocab": 2048, "context": 512, "dtype": "float32"}
GEMMA |= {"d_vocab": 256_000, "context": 8192, "dtype": "bfloat16"}
LLAMA |= {"d_vocab": 128_256, "context": 131_072, "dtype": "bfloat16"}
