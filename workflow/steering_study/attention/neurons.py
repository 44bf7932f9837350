"""Which neurons of the MLPs carry steering: dimension-wise indirect effects, as for edges (docs/attention.md).

    IE[j] = sum_p (a_steer - a_base)_pj  W_out[j] . integral_0^1 d metric(h(t)) / d (output of the MLP)_p dt

a: the neurons' activations, over the root mean square of the post-norm where a model has one, so that what the MLP
writes is linear in them. Summed over its neurons, IE is the indirect effect of the MLP as a node.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.circuits.attribution import Quadrature
from steering_study.circuits.paired_runs import ForcedRuns, SteeredModel
from steering_study.circuits.traces import BlockTrace, trace, whole_rows
from steering_study.models.blocks import BlockWeights, normed, rms, widened


def neuron_scores(
    steered: SteeredModel, runs: ForcedRuns, *, metric: str, rule: Quadrature
) -> Float[Tensor, "batch block d_mlp"]:
    """Scores of every neuron from the steering layer on, summed over positions, a response a row."""
    at_outputs = _output_gradients(steered, runs, metric=metric, rule=rule)
    with torch.no_grad():
        return torch.stack(
            [
                _scores_of_block(block, base, steer, gradient)
                for block, base, steer, gradient in zip(
                    steered.blocks, runs.base.blocks, runs.steer.blocks, at_outputs, strict=True
                )
            ],
            dim=1,
        )


def _scores_of_block(
    block: BlockWeights, base: BlockTrace, steer: BlockTrace, gradient: Float[Tensor, "batch pos d_model"]
) -> Float[Tensor, "batch d_mlp"]:
    change = scaled_neurons(block, steer.mlp_in) - scaled_neurons(block, base.mlp_in)
    if block.ln2_post is not None:
        gradient = gradient * block.ln2_post.to(gradient.dtype)
    return (change.to(gradient.dtype) * (gradient @ block.W_out.to(gradient.dtype).T)).sum(1)


def scaled_neurons(
    block: BlockWeights, mlp_in: Float[Tensor, "row pos d_model"]
) -> Float[Tensor, "row pos d_mlp"]:
    """Activations over the post-norm's own root mean square: what the MLP writes is linear in them."""
    found = block.neurons(normed(mlp_in, block.ln2, eps=block.eps))
    if block.ln2_post is None:
        return found
    return found / rms(found @ block.W_out, eps=block.eps).to(found.dtype)


def _output_gradients(
    steered: SteeredModel, runs: ForcedRuns, *, metric: str, rule: Quadrature
) -> list[Float[Tensor, "batch pos d_model"]]:
    """Mean over the path of the metric's gradient at what each MLP writes, a step of the path at a time."""
    chosen = runs.metrics(steered.head, [metric])[metric]
    totals: list[Tensor] = []
    for node, weight in zip(rule.nodes, rule.weights, strict=True):
        path = (runs.tail.resid_pre + node * runs.shift).requires_grad_()
        with torch.enable_grad():
            attention = whole_rows(runs.tail, copies=1)
            found = trace(steered.blocks, path, attention, positions=runs.positions)
            value = weight * chosen(steered.head, found.final).sum()
        grads = torch.autograd.grad(value, [block.mlp_out for block in found.blocks])
        wide = [grad.to(widened(grad.dtype)) for grad in grads]
        totals = [a + b for a, b in zip(totals, wide, strict=True)] if totals else wide
    return totals
