"""NTP: the vector that makes the desired response most likely (docs/vectors.md).

loss = -log p(y_w | x, h <- h + alpha v)        summed over the response's tokens, in nats
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from steering_study.vectors.learned import Objective, PairLogprobs, Trial


def loss(pairs: PairLogprobs, trial: Trial) -> Float[Tensor, "pair"]:
    """Negative log-likelihood of the desired response under steering."""
    return -pairs.desired


OBJECTIVE = Objective(loss=loss, uses_undesired=False)
