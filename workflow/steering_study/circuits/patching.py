"""Runs in which some edges carry another run's activations: circuits, and single edges or groups of them (docs/circuits.md).

    input of v  =  base input + sum over edges (u, v) of  u_current - u_base     if the edge is `current`
                                                          u_steer - u_base       if it is `steered`
                                                          0                      otherwise: held at base

A circuit is a set of current edges: changes propagate through it alone. One edge, exactly: that edge steered, every
other edge current but those that leave resid_steer, so that its change propagates as in a model. What a run makes of
its sources is linear in `u_current - u_base` with each run's own post-norm scale.

Several runs share one base run and are an axis of every tensor; readers and sources that no edge of theirs touches are
not computed. All inputs of a block come from one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steering_study.circuits.graph import Graph
from steering_study.circuits.traces import Attention, Trace
from steering_study.models.blocks import BlockWeights, head_outputs, mlp_out, normed, scaled_z

EdgeSets = Bool[Tensor, "circuit src dst"]


@dataclass(frozen=True)
class SteeredEdges:
    """Edges that carry the steered run's activations, and steer - base of every source."""

    edges: EdgeSets
    deltas: Float[Tensor, "batch src pos d_model"]


def run_patched(
    graph: Graph,
    weights: Sequence[BlockWeights],
    base: Trace,
    attention: Attention,
    *,
    shift: Float[Tensor, "batch pos d_model"],
    current: EdgeSets,
    steered: SteeredEdges | None = None,
    positions: slice,
) -> Float[Tensor, "circuit batch some d_model"]:
    """Residuals that enter the final norm at some positions, of each set of edges.

    Args:
        base: the base run on the same tokens, its `final` at the same positions.
        attention: over rows of all circuits, circuit by circuit.
        shift: coefficient * vector at every real position: the change of resid_steer.
    """
    run = _PatchedRun(graph, base, shift, current, steered)
    for i, block in enumerate(weights):
        _run_heads(run, i, block, attention)
        _run_mlp(run, i, block)
    return run.final(positions)


class _PatchedRun:
    """The changes of the sources so far, and the inputs that readers get from them."""

    def __init__(
        self,
        graph: Graph,
        base: Trace,
        shift: Float[Tensor, "batch pos d_model"],
        current: EdgeSets,
        steered: SteeredEdges | None,
    ) -> None:
        self.graph, self.base, self.current, self.steered = graph, base, current, steered
        self.is_read = current.any(0).any(1)  # sources
        reads = current.any(0).any(0) if steered is None else (current | steered.edges).any(0).any(0)
        self.reads = reads  # destinations
        self.slot = self.is_read.cumsum(0) - 1  # place of a source among those that are read
        self.deltas = shift.new_zeros(len(current), max(1, int(self.is_read.sum())), *shift.shape)
        self.kept = current[:, self.is_read].to(shift.dtype)
        if self.is_read[0]:
            self.deltas[:, 0] = shift

    def put(self, sources: Int[Tensor, "n"], values: Float[Tensor, "circuit n batch pos d_model"]) -> None:
        """Record steer-like changes of sources."""
        self.deltas[:, self.slot[sources]] = values

    def inputs(
        self,
        base_input: Float[Tensor, "batch pos d_model"],
        dst: Int[Tensor, "reader"],
        *,
        n_src: int,
        positions: slice = slice(None),
    ) -> Float[Tensor, "circuit reader batch pos d_model"]:
        """Inputs of some readers that see the first `n_src` sources."""
        n_slots = int(self.is_read[:n_src].sum())
        deltas = self.deltas[:, :n_slots, :, positions]
        found = self.kept[:, :n_slots, dst].mT @ deltas.flatten(2)
        if self.steered is not None:
            edges = self.steered.edges[:, :n_src, dst].mT.to(found.dtype)
            constant = self.steered.deltas[:, :n_src, positions].transpose(0, 1).flatten(1).to(found.dtype)
            found = found + edges @ constant
        return found.unflatten(2, base_input.shape) + base_input

    def final(self, positions: slice) -> Float[Tensor, "circuit batch some d_model"]:
        """What enters the final norm."""
        lm_head = torch.tensor([self.graph.lm_head], device=self.deltas.device)
        return self.inputs(self.base.final, lm_head, n_src=self.graph.n_src, positions=positions)[:, 0]


def _run_heads(run: _PatchedRun, i: int, block: BlockWeights, attention: Attention) -> None:
    """The changes of a block's heads, where some edge reads one and some edge reaches one."""
    graph, base = run.graph, run.base.blocks[i]
    heads = torch.arange(graph.n_src, device=run.is_read.device)[graph.heads_src(i)]
    heads = heads[run.is_read[heads]]
    reached = {kind: _readers(run, i, kind) for kind in ("attn_q", "attn_k", "attn_v")}
    if not len(heads) or not any(len(readers) for readers in reached.values()):
        return
    inputs = {
        "attn_q": (base.q, block.W_Q, block.b_Q),
        "attn_k": (base.k, block.W_K, block.b_K),
        "attn_v": (base.v, block.W_V, block.b_V),
    }
    n_circuits = len(run.current)
    projected = []
    for kind, (values, W, b) in inputs.items():
        dst = reached[kind]
        values = values.expand(n_circuits, *values.shape)
        if len(dst):
            local = dst - graph.dst(i, kind).start
            x = run.inputs(base.resid_pre, dst, n_src=graph.n_src_before(i))
            found = torch.einsum("crbpd,rde->cbpre", normed(x, block.ln1, eps=block.eps), W[local])
            values = values.clone()
            values[:, :, :, local] = found if b is None else found + b[local]
        projected.append(values.flatten(0, 1))
    z = attention(i, block, *projected).unflatten(0, (n_circuits, -1))
    change = scaled_z(block, z) - scaled_z(block, base.z)
    run.put(heads, head_outputs(block, change, heads=heads - graph.heads_src(i).start).transpose(0, 1))


def _run_mlp(run: _PatchedRun, i: int, block: BlockWeights) -> None:
    """The change of a block's MLP, where some edge reads it and some edge reaches it."""
    graph, base = run.graph, run.base.blocks[i]
    source = torch.tensor([graph.mlp_src(i)], device=run.is_read.device)
    dst = _readers(run, i, "mlp")
    if not len(dst) or not run.is_read[source]:
        return
    x = run.inputs(base.mlp_in, dst, n_src=graph.mlp_src(i))
    run.put(source, mlp_out(block, x) - base.mlp_out)


def _readers(run: _PatchedRun, i: int, kind: str) -> Int[Tensor, "reader"]:
    """Destinations of a kind that some edge reaches."""
    dst = torch.arange(run.graph.n_dst, device=run.reads.device)[run.graph.dst(i, kind)]
    return dst[run.reads[dst]]
