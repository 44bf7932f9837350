"""How steering passes through each node of a run: what the vector's direct term explains, and how far attention moves.

On given responses, with base and steered run of the same tokens, at the response positions:

    heads   actual change by values  A_steer (v_steer - v_base) W_O     direct term  (sum_k A_steer / rms) svv
    MLPs    mlp_steer - mlp_base                                        mlp(norm x) - mlp(norm x - shift gamma / rms)

Attention moves by half the summed absolute change of a head's weights at a position (total variation, 0 to 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.attention.value_vectors import (
    Agreement,
    direct_weights,
    head_writes,
    post_scale,
    steering_values,
)
from steering_study.circuits.paired_runs import ForcedRuns, SteeredModel, forced_runs
from steering_study.circuits.traces import BlockTrace
from steering_study.models.batches import TokenIds
from steering_study.models.blocks import BlockWeights, direct_term, mlp_of, normed, pattern, per_head, rotate


@dataclass(frozen=True)
class BlockSums:
    """Sums over response positions of one block."""

    heads: Agreement
    attention: Agreement  # all heads together
    mlp: Agreement
    moved: Float[Tensor, "head"]  # total variation of attention weights
    n_positions: int

    def __add__(self, other: BlockSums) -> BlockSums:
        """Sums over more responses."""
        return BlockSums(
            self.heads + other.heads,
            self.attention + other.attention,
            self.mlp + other.mlp,
            self.moved + other.moved,
            self.n_positions + other.n_positions,
        )


def measure_blocks(
    steered: SteeredModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    *,
    batch_size: int | None,
) -> list[BlockSums]:
    """The sums of every block from the steering layer on."""
    totals: list[BlockSums] = []
    for runs in forced_runs(steered, prompts, responses, batch_size=batch_size):
        with torch.no_grad():
            found = [_block_sums(steered, runs, i) for i in range(len(steered.blocks))]
        totals = [a + b for a, b in zip(totals, found, strict=True)] if totals else found
    return totals


def _block_sums(steered: SteeredModel, runs: ForcedRuns, i: int) -> BlockSums:
    block, base, steer = steered.blocks[i], runs.base.blocks[i], runs.steer.blocks[i]
    at, mask = runs.positions, runs.is_response
    before, after = patterns_of(runs, i, block, base), patterns_of(runs, i, block, steer)
    change = torch.einsum("bhqk,bkhe->bqhe", after, per_head(block, steer.v - base.v).to(after.dtype))
    values = steering_values(block, steered.shift.to(after.device))
    direct = direct_weights(block, after, steer.resid_pre)[..., None] * values
    scale = post_scale(block, steer.z[:, at])[..., None]
    whole, part = (head_writes(block, z.to(scale.dtype)) * scale for z in (change, direct))
    mlp_in, shift = steer.mlp_in[:, at], runs.shift[:, at]
    hidden = normed(mlp_in, block.ln2, eps=block.eps)
    cleared = mlp_of(block, hidden - direct_term(shift, mlp_in, block.ln2, eps=block.eps))
    explained, changed = (
        out[:, :, None].to(scale.dtype)
        for out in (steer.mlp_out[:, at] - cleared, (steer.mlp_out - base.mlp_out)[:, at])
    )
    moved = (after - before).abs().sum(-1) / 2
    return BlockSums(
        Agreement.between(part, whole, mask),
        Agreement.between(part.sum(2, keepdim=True), whole.sum(2, keepdim=True), mask),
        Agreement.between(explained, changed, mask),
        torch.einsum("bhq,bq->h", moved, mask.to(moved.dtype)),
        int(mask.sum()),
    )


def patterns_of(
    runs: ForcedRuns, i: int, block: BlockWeights, found: BlockTrace
) -> Float[Tensor, "batch head query key"]:
    """Attention weights of a run at the positions that predict the response."""
    arguments: Any = runs.tail.arguments[i]
    rope, mask = arguments["position_embeddings"], arguments["attention_mask"]
    q = rotate(found.q, block.q_norm, rope, block.eps)[:, runs.positions]
    k = rotate(found.k, block.k_norm, rope, block.eps)
    return pattern(block, q, k, mask=mask[:, :, runs.positions])


def node_table(layer: int, blocks: Sequence[BlockSums]) -> pd.DataFrame:
    """The `nodes` table without method and effects: each head, the attention of each block as a whole, each MLP.

    Args:
        layer: of the first of the blocks.
    """
    rows = []
    for block, sums in enumerate(blocks, start=layer):
        named = [(f"a{block}.h{head}", "attn_head", head) for head in range(len(sums.moved))]
        for (node, kind, head), share, cosine, moved in zip(
            named,
            sums.heads.norm_share.tolist(),
            sums.heads.cosine.tolist(),
            sums.moved.tolist(),
            strict=True,
        ):
            rows.append((node, kind, block, head, share, cosine, moved / sums.n_positions, sums.n_positions))
        for node, kind, whole in ((f"a{block}", "attn", sums.attention), (f"m{block}", "mlp", sums.mlp)):
            share, cosine = float(whole.norm_share), float(whole.cosine)
            rows.append((node, kind, block, -1, share, cosine, float("nan"), sums.n_positions))
    columns = ["node", "kind", "block", "head", "norm_share", "cosine", "moved", "n_positions"]
    return pd.DataFrame(rows, columns=columns)


def attention_maps(
    steered: SteeredModel, prompt: TokenIds, response: TokenIds, *, heads: Sequence[str], n_queries: int
) -> Iterator[dict[str, Any]]:
    """Attention weights of some heads at the first positions that predict a response, without and with steering.

    Args:
        heads: as a5.h1.

    Yields:
        node, run, query, key, weight; query and key count the row's tokens.
    """
    (runs,) = forced_runs(steered, [prompt], [response[:n_queries]], batch_size=1)
    for node in heads:
        layer, head = (int(part) for part in node[1:].split(".h"))
        i = layer - steered.layer
        for name, run in (("base", runs.base), ("steer", runs.steer)):
            with torch.no_grad():
                found = patterns_of(runs, i, steered.blocks[i], run.blocks[i])[0, head]
            for place, row in enumerate(found.tolist()):
                query = len(prompt) - 1 + place
                for key, weight in enumerate(row[: query + 1]):
                    yield {"node": node, "run": name, "query": query, "key": key, "weight": weight}
