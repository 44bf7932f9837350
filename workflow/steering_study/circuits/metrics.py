"""Metrics of docs/circuits.md at response positions: how far a run has gone from the base to the steered prediction.

    logit difference    logit(y) - logit(y*)                  y, y*: greedy predictions, steered and base
    directional KL      KL(P_base || P) - KL(P_steer || P)

Both grow as steering acts. They are values a position, 0 where a position is masked, and not averaged here. A
residual may have axes before `batch`, such as the steps of a path or several circuits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steering_study.models.blocks import HeadWeights

Values = Float[Tensor, "*rows batch pos"]


@dataclass(frozen=True)
class LogitDifference:
    """logit(y) - logit(y*), masked where the two predictions agree."""

    ids: Int[Tensor, "batch pos 2"]  # y, y*
    mask: Bool[Tensor, "batch pos"]

    def __call__(self, head: HeadWeights, resid: Float[Tensor, "*rows batch pos d_model"]) -> Values:
        """The metric of residuals that enter the final norm."""
        logits = head.logits_of(resid, self.ids)
        return (logits[..., 0] - logits[..., 1]) * self.mask


@dataclass(frozen=True)
class DirectionalKL:
    """KL(P_base || P) - KL(P_steer || P) in nats, masked where KL(P_steer || P_base) is below a threshold."""

    tilt: Float[Tensor, "batch pos d_vocab"]  # P_steer - P_base
    offset: Float[Tensor, "batch pos"]  # the terms that do not depend on P
    mask: Bool[Tensor, "batch pos"]

    def __call__(self, head: HeadWeights, resid: Float[Tensor, "*rows batch pos d_model"]) -> Values:
        """The metric of residuals that enter the final norm."""
        logprobs = head.logits(resid).log_softmax(-1)
        return (torch.einsum("...bpv,bpv->...bp", logprobs, self.tilt) + self.offset) * self.mask


Metric = LogitDifference | DirectionalKL
Logits = Float[Tensor, "batch pos d_vocab"]


def logit_difference(
    base: Logits, steer: Logits, *, is_response: Bool[Tensor, "batch pos"]
) -> LogitDifference:
    """The metric of a pair of runs on the same tokens."""
    ids = torch.stack([steer.argmax(-1), base.argmax(-1)], dim=-1)
    return LogitDifference(ids, is_response & (ids[..., 0] != ids[..., 1]))


def directional_kl(
    base: Logits, steer: Logits, *, is_response: Bool[Tensor, "batch pos"], threshold: float
) -> DirectionalKL:
    """The metric of a pair of runs on the same tokens, at positions where they differ by `threshold` nats."""
    log_base, log_steer = base.log_softmax(-1), steer.log_softmax(-1)
    base_entropy = -(log_base.exp() * log_base).sum(-1)
    steer_entropy = -(log_steer.exp() * log_steer).sum(-1)
    # not negative but for rounding, which must not mask a position where the threshold is 0
    apart = (log_steer.exp() * (log_steer - log_base)).sum(-1).clamp_min(0)
    return DirectionalKL(
        log_steer.exp() - log_base.exp(), steer_entropy - base_entropy, is_response & (apart >= threshold)
    )


THRESHOLDS = {"kl_0": 0.0, "kl_1": 1.0, "kl_5": 5.0}  # nats, of the directional KL of that name
METRICS = ("logit_difference", *THRESHOLDS)


def metric_of(name: str, base: Logits, steer: Logits, *, is_response: Bool[Tensor, "batch pos"]) -> Metric:
    """The metric that the tables call `name`, of a pair of runs on the same tokens."""
    if name == "logit_difference":
        return logit_difference(base, steer, is_response=is_response)
    if name not in THRESHOLDS:
        raise ValueError(f"metric={name!r} is unknown; expected one of {', '.join(METRICS)}")
    return directional_kl(base, steer, is_response=is_response, threshold=THRESHOLDS[name])
