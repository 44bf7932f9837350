"""What steering costs where it should change nothing (METHOD 8).

Bypassing refusal should leave harmless prompts alone, inducing it harmful ones. On those prompts, with the model's
own unsteered response y forced:

    kl        = 1/|y| sum_t KL(p(. | y_<t) || p_steered(. | y_<t))       nats a token
    nll       = -1/|y| sum_t log p_steered(y_t | y_<t)                   nats a token; exp of its mean is the perplexity
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from steering_study.hooks import Steering
from steering_study.models import ChatModel
from steering_study.prompts import TokenIds
from steering_study.runs import forced_logits, response_batches, response_targets


def forced_costs(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    *,
    vector: Float[Tensor, "d_model"],
    layer: int,
    coefficients: Sequence[float],
    batch_size: int | None,
    max_logits: int = 2**27,
) -> pd.DataFrame:
    """Divergence and likelihood of each given response at each coefficient.

    Returns:
        row (index of the prompt), coefficient, kl, nll, base_nll: means over the response's tokens, in nats.
    """
    found = []
    for rows, batch in response_batches(
        model, prompts, responses, batch_size=batch_size, max_logits=max_logits
    ):
        targets, is_response = response_targets(batch, [len(responses[i]) for i in rows])
        n_positions, n_tokens = targets.shape[1], is_response.sum(-1)
        base = forced_logits(model, batch, n_positions=n_positions).log_softmax(-1)

        def mean(values: Tensor, mask: Tensor = is_response, counts: Tensor = n_tokens) -> list[float]:
            return ((values * mask).sum(-1) / counts).tolist()

        def nll(logprobs: Tensor, ids: Tensor = targets) -> Tensor:
            return -logprobs.gather(-1, ids[..., None])[..., 0]

        for coefficient in coefficients:
            steering = Steering.uniform(vector, layer=layer, coefficients=[coefficient] * len(rows))
            steered = forced_logits(model, batch, n_positions=n_positions, steering=steering).log_softmax(-1)
            kl = (base.exp() * (base - steered)).sum(-1)
            found.append(
                pd.DataFrame(
                    {
                        "row": rows,
                        "coefficient": coefficient,
                        "kl": mean(kl),
                        "nll": mean(nll(steered)),
                        "base_nll": mean(nll(base)),
                    }
                )
            )
    return pd.concat(found, ignore_index=True)
