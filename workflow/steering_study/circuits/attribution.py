"""Multi-token EAP-IG: every edge's indirect effect on a metric, in one pass over its responses (docs/circuits.md).

With h(a) = resid_pre of the steering layer + a * coefficient * vector, for a response with positions p,

    score[u, v] = sum_p (u_steer - u_base)_p . integral_0^1 d metric(h(a)) / d (input of v)_p da

1. Blocks below the steering layer see the same tokens and run once.
2. Base and steered run: u_steer - u_base of every source, kept as factors (z of a head over its post-norm's root mean
   square; what an MLP adds), and the two predictions that the metric contrasts.
3. The steps of the integral are rows of one batch. Gradients are taken at q, k and v and carried back through the
   norm by formula: the heads of a block share its input x, r = rms(x), and

       d m / d x_h = gamma * W_Q^h dq_h / r - x (q_h . dq_h) / (d r^2)            q_h without bias, before its norm

   so no input is split a head. For MLPs and the LM head they are taken at the branch that reads.
4. Sum over the steps first, then contract with the sources, a block at a time, in float32.

Scores are kept a response, as sums over positions, with the number of positions that were not masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from steering_study.circuits.metrics import Metric
from steering_study.circuits.paired_runs import ForcedRuns, SteeredModel, forced_runs
from steering_study.circuits.traces import (
    BlockTrace,
    SourceDeltas,
    dense_deltas,
    source_deltas,
    trace,
    whole_rows,
)
from steering_study.models.batches import TokenIds
from steering_study.models.blocks import BlockWeights, rms, widened


@dataclass(frozen=True)
class Quadrature:
    """Nodes in [0, 1] and weights that sum to 1."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]


def quadrature(rule: str, n_steps: int) -> Quadrature:
    """The midpoint rule, as published, or Gauss-Legendre, exact for polynomials of degree 2 n_steps - 1."""
    if rule == "midpoint":
        return Quadrature(tuple((i + 0.5) / n_steps for i in range(n_steps)), (1 / n_steps,) * n_steps)
    if rule == "gauss":
        nodes, weights = np.polynomial.legendre.leggauss(n_steps)
        return Quadrature(tuple((nodes + 1) / 2), tuple(weights / 2))
    raise ValueError(f"quadrature={rule!r} is unknown; expected midpoint or gauss")


@dataclass(frozen=True)
class BlockGradients:
    """Summed over the steps: d metric / d q over rms, and the coefficients of x that the norm takes away."""

    ratios: Float[
        Tensor, "batch pos reader d_head"
    ]  # readers: the query heads, the key heads, the value heads
    along: Float[Tensor, "step batch pos reader"]
    resid_pre: Float[Tensor, "step batch pos d_model"]
    mlp: Float[Tensor, "batch pos d_model"]


def gradients_of(
    block: BlockWeights,
    found: BlockTrace,
    grads: list[Tensor],
    *,
    n_steps: int,
) -> BlockGradients:
    """Gradients at q, k, v and the MLP's input, `grads`, as factors of those at every reader's input (step 3)."""
    wide = widened(found.resid_pre.dtype)
    biases = (block.b_Q, block.b_K, block.b_V)
    values = [x if b is None else x - b for x, b in zip((found.q, found.k, found.v), biases, strict=True)]
    linear = torch.cat(values, dim=2).to(wide)
    at_linear = torch.cat(grads[:3], dim=2).to(wide)
    scale = rms(found.resid_pre, eps=block.eps)
    d_model = found.resid_pre.shape[-1]
    along = (linear * at_linear).sum(-1) / (d_model * scale.pow(2))
    return BlockGradients(
        (at_linear / scale[..., None]).unflatten(0, (n_steps, -1)).sum(0),
        along.unflatten(0, (n_steps, -1)),
        found.resid_pre.to(wide).unflatten(0, (n_steps, -1)),
        grads[3].to(wide).unflatten(0, (n_steps, -1)).sum(0),
    )


def reader_gradients(
    block: BlockWeights, found: BlockGradients, positions: slice
) -> Float[Tensor, "batch reader pos d_model"]:
    """Gradients at the inputs of a block's readers, its MLP the last, at some positions."""
    W = torch.cat([block.W_Q, block.W_K, block.W_V]).to(found.ratios.dtype) * block.ln1[:, None].to(
        found.ratios.dtype
    )
    through = torch.einsum("bphe,hde->bhpd", found.ratios[:, positions], W)
    taken = torch.einsum("sbph,sbpd->bhpd", found.along[:, :, positions], found.resid_pre[:, :, positions])
    return torch.cat([through - taken, found.mlp[:, None, positions]], dim=1)


@dataclass(frozen=True)
class Scores:
    """Edge scores of a batch by one metric, summed over positions, in the metric's unit.

    The scores of the edges that leave resid_steer, and the dimension scores, sum to `change` as steps grow.
    """

    edges: Float[Tensor, "batch src dst"]
    dimensions: Float[Tensor, "batch d_model"]  # coefficient * vector_i times the mean gradient
    n_positions: Int[Tensor, "batch"]  # response positions that are not masked
    change: Float[Tensor, "batch"]  # of the metric, steer - base

    def __add__(self, other: Scores) -> Scores:
        """Scores of the same responses over more steps."""
        return Scores(
            self.edges + other.edges, self.dimensions + other.dimensions, self.n_positions, self.change
        )

    def select(self, rows: Int[Tensor, "row"]) -> Scores:
        """Scores of some responses."""
        return Scores(**{name: value[rows] for name, value in vars(self).items()})

    def cpu(self) -> Scores:
        """A copy of the scores in main memory."""
        return Scores(**{name: value.cpu() for name, value in vars(self).items()})

    @classmethod
    def join(cls, parts: Sequence[Scores]) -> Scores:
        """Scores of several batches."""
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


@dataclass(frozen=True)
class Budget:
    """What bounds memory; no score depends on it."""

    tokens_per_pass: int  # rows x positions of a forward and backward pass; a row is a step of a response
    max_values: int  # numbers of the sources' dense outputs at once


def attribute_responses(
    steered: SteeredModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    *,
    metrics: Sequence[str],
    rule: Quadrature,
    budget: Budget,
) -> dict[str, Scores]:
    """Scores of given responses by each metric, in the order given."""
    n_steps = len(rule.nodes)
    longest = max(len(p) + len(r) for p, r in zip(prompts, responses, strict=True))
    batch_size = max(1, budget.tokens_per_pass // (n_steps * longest))
    steps_per_pass = max(1, min(n_steps, budget.tokens_per_pass // (batch_size * longest)))
    rows: list[int] = []
    by_metric: dict[str, list[Scores]] = {name: [] for name in metrics}
    with tqdm(total=len(prompts), desc="attribute", unit="text", disable=None, leave=False) as bar:
        for runs in forced_runs(steered, prompts, responses, batch_size=batch_size):
            rows += runs.rows
            attributed = attribute(
                steered,
                runs,
                metrics=metrics,
                rule=rule,
                steps_per_pass=steps_per_pass,
                max_values=budget.max_values,
            )
            for name, scores in attributed.items():
                by_metric[name].append(scores.cpu())
            bar.update(len(runs.rows))
    order = torch.tensor(rows).argsort()
    return {name: Scores.join(batches).select(order) for name, batches in by_metric.items()}


def attribute(
    steered: SteeredModel,
    runs: ForcedRuns,
    *,
    metrics: Sequence[str],
    rule: Quadrature,
    steps_per_pass: int,
    max_values: int,
) -> dict[str, Scores]:
    """Scores of a batch of responses by each metric.

    Args:
        steps_per_pass: steps of the integral that are rows of one forward pass.
        max_values: of the sources' dense outputs at once; positions are contracted in as many parts as that takes.
    """
    metric_of = runs.metrics(steered.head, metrics)
    with torch.no_grad():
        deltas = source_deltas(steered.blocks, runs.base, runs.steer, shift=runs.shift)
        changes = {
            name: (metric(steered.head, runs.steer.final) - metric(steered.head, runs.base.final)).sum(-1)
            for name, metric in metric_of.items()
        }
    totals: dict[str, Scores] = {}
    for start in range(0, len(rule.nodes), steps_per_pass):
        some = slice(start, start + steps_per_pass)
        part = Quadrature(rule.nodes[some], rule.weights[some])
        for name, gradients in _path_gradients(steered, runs, metric_of, part):
            with torch.no_grad():
                scores = Scores(
                    _contract(steered, deltas, gradients, max_values=max_values),
                    (runs.shift * gradients.resid).sum(1),
                    metric_of[name].mask.sum(-1),
                    changes[name],
                )
            totals[name] = totals[name] + scores if name in totals else scores
    return totals


@dataclass(frozen=True)
class PathGradients:
    """Gradients of a metric, weighted and summed over some steps of the path."""

    blocks: tuple[BlockGradients, ...]
    final: Float[Tensor, "batch last d_model"]
    resid: Float[Tensor, "batch pos d_model"]  # at the steering layer, through every branch


def _path_gradients(
    steered: SteeredModel, runs: ForcedRuns, metrics: Mapping[str, Metric], part: Quadrature
) -> Iterator[tuple[str, PathGradients]]:
    """Gradients by each metric; the forward pass is shared."""
    n_steps, shift = len(part.nodes), runs.shift
    wide = widened(shift.dtype)  # a node or weight rounded to half precision would scale every score
    nodes, step_weights = (
        shift.new_tensor(values, dtype=wide)[:, None, None, None] for values in (part.nodes, part.weights)
    )
    path = runs.tail.resid_pre + (nodes * shift).to(shift.dtype)
    path = path.flatten(0, 1).requires_grad_()
    with torch.enable_grad():
        attention = whole_rows(runs.tail, copies=n_steps)
        forward = trace(steered.blocks, path, attention, positions=runs.positions)
        stepwise = forward.final.unflatten(0, (n_steps, -1))
        values = {
            name: (metric(steered.head, stepwise) * step_weights[..., 0]).sum()
            for name, metric in metrics.items()
        }
    taps = [tap for block in forward.blocks for tap in (block.q, block.k, block.v, block.mlp_in)]
    for i, (name, value) in enumerate(values.items()):
        *grads, at_final, at_resid = torch.autograd.grad(
            value, [*taps, forward.final, path], retain_graph=i + 1 < len(values)
        )
        with torch.no_grad():
            yield (
                name,
                PathGradients(
                    tuple(
                        gradients_of(block, traced, grads[4 * i : 4 * i + 4], n_steps=n_steps)
                        for i, (block, traced) in enumerate(zip(steered.blocks, forward.blocks, strict=True))
                    ),
                    at_final.to(wide).unflatten(0, (n_steps, -1)).sum(0),
                    at_resid.to(wide).unflatten(0, (n_steps, -1)).sum(0),
                ),
            )


def _contract(
    steered: SteeredModel, deltas: SourceDeltas, gradients: PathGradients, *, max_values: int
) -> Float[Tensor, "batch src dst"]:
    """Sum over positions of delta[src] . gradient[dst], for every edge; 0 where none is."""
    graph = steered.graph
    batch, pos, d_model = deltas.resid.shape
    last = gradients.final.shape[1]
    at_once = max(1, max_values // (batch * graph.n_src * d_model))
    scores = gradients.final.new_zeros(batch, graph.n_src, graph.n_dst)
    at_final = torch.nn.functional.pad(gradients.final, (0, 0, pos - 1 - last, 1))
    for start in range(0, pos, at_once):
        positions = slice(start, start + at_once)
        sources = dense_deltas(steered.blocks, deltas, positions).flatten(2)
        for i, (block, found) in enumerate(zip(steered.blocks, gradients.blocks, strict=True)):
            readers = reader_gradients(block, found, positions).flatten(2)
            n_src = graph.mlp_src(i)  # all that the MLP reads; the block's own heads among them feed it alone
            first = graph.dst(i, "attn_q").start
            scores[:, :n_src, first : first + readers.shape[1]] += sources[:, :n_src] @ readers.mT
        scores[:, :, graph.lm_head] += (sources @ at_final[:, positions].flatten(1)[..., None])[..., 0]
    return scores * torch.from_numpy(graph.edge_mask).to(scores)
