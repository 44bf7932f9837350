"""PO: uni-directional RePS, preference optimisation of a vector (docs/vectors.md; `scaled_simpo` of arXiv:2505.20809).

    Delta = beta / |y_w| log p(y_w | steered) - 1 / |y_l| log p(y_l | steered)
    beta  = max(phi (log p(y_l) - log p(y_w)), 1)           unsteered, sums over tokens, in nats
    loss  = -log sigmoid(Delta)

Uni-directional: the vector is added, and nothing is projected out. |y| is the length of the answer, as the paper
writes it; `length: sequence` counts the prompt as well.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.vectors.learned import Objective, PairLogprobs, Trial


def beta(pairs: PairLogprobs, trial: Trial) -> Float[Tensor, "pair"]:
    """Weight of the desired response: larger where the unsteered model prefers the undesired one."""
    if trial.phi is None:
        raise ValueError("PO needs phi; set it in config: vectors.learned.po.phi")
    return (trial.phi * (pairs.base_undesired - pairs.base_desired)).clamp(min=1)


def loss(pairs: PairLogprobs, trial: Trial) -> Float[Tensor, "pair"]:
    """-log sigmoid of the weighted difference of mean log-likelihoods."""
    prompt = pairs.n_prompt if trial.length == "sequence" else 0
    desired = beta(pairs, trial) * pairs.desired / (pairs.n_desired + prompt)
    undesired = pairs.undesired / (pairs.n_undesired + prompt)
    return -torch.nn.functional.logsigmoid(desired - undesired)


OBJECTIVE = Objective(loss=loss, uses_undesired=True, beta=beta)
