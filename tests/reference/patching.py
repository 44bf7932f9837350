"""A circuit run with every reader's input built by itself, one edge at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from steering_study.models.blocks import attend, head_outputs, mlp_out, normed, scaled_z


def run_circuit_slowly(steered: Any, runs: Any, mask: np.ndarray) -> Tensor:
    """Residuals that enter the final norm when only the edges of `mask` carry the steered run's changes."""
    graph, changes = steered.graph, {0: runs.shift}

    def read(base: Tensor, dst: int, positions: slice = slice(None)) -> Tensor:
        total = base.clone()
        for src in np.nonzero(mask[:, dst])[0]:
            total = total + changes[int(src)][:, positions]
        return total

    for i, (block, base) in enumerate(zip(steered.blocks, runs.base.blocks, strict=True)):

        def projected(
            kind: str, W: Tensor, b: Tensor | None, i: int = i, block: Any = block, base: Any = base
        ) -> Tensor:
            span = graph.dst(i, kind)
            heads = []
            for n, dst in enumerate(range(span.start, span.stop)):
                x = normed(read(base.resid_pre, dst), block.ln1, eps=block.eps) @ W[n]
                heads.append(x if b is None else x + b[n])
            return torch.stack(heads, dim=2)

        arguments = runs.tail.arguments[i]
        z = attend(
            block,
            projected("attn_q", block.W_Q, block.b_Q),
            projected("attn_k", block.W_K, block.b_K),
            projected("attn_v", block.W_V, block.b_V),
            rope=arguments["position_embeddings"],
            mask=arguments["attention_mask"],
        )
        change = head_outputs(block, scaled_z(block, z) - scaled_z(block, base.z))
        for head, src in enumerate(range(graph.heads_src(i).start, graph.heads_src(i).stop)):
            changes[src] = change[head]
        x = read(base.mlp_in, graph.dst(i, "mlp").start)
        changes[graph.mlp_src(i)] = mlp_out(block, x) - base.mlp_out
    return read(runs.base.final, graph.lm_head, runs.positions)
