"""What steering costs where it should change nothing (docs/steering.md).

Bypassing refusal should leave harmless prompts alone, inducing it harmful ones. On those prompts, with the model's
own unsteered response y forced:

    kl        = 1/|y| sum_t KL(p(. | y_<t) || p_steered(. | y_<t))       nats a token
    nll       = -1/|y| sum_t log p_steered(y_t | y_<t)                   nats a token; exp of its mean is the perplexity
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from steering_study.models.batches import TokenIds
from steering_study.models.hooks import Steering
from steering_study.models.loading import ChatModel
from steering_study.models.passes import forced_logits, response_batches, response_targets
from steering_study.stats import N_RESAMPLES, bootstrap_mean
from steering_study.steering.coefficients import matched_coefficients


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
    costs = []
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
            costs.append(
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
    return pd.concat(costs, ignore_index=True)


def summarise_side_effects(
    curve: pd.DataFrame,
    costs: Mapping[Hashable, pd.DataFrame],
    *,
    flip_rate: float,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """The `side_effects` table: a dose-response curve beside what each coefficient costs on bystanders.

    Args:
        curve: the `dose_response` table of one method.
        costs: of each condition, coefficient, kl, nll and base_nll of every bystander response.
        flip_rate: share of prompts at which methods are compared.
    """
    tables = []
    for condition, doses in curve.groupby("condition", sort=False):
        by_dose = costs[condition].groupby("coefficient")
        measured = []
        for coefficient in doses["coefficient"]:
            at = by_dose.get_group(coefficient)
            interval = {"confidence": confidence, "n_resamples": N_RESAMPLES, "seed": seed}
            kl_low, kl_high = bootstrap_mean(list(at["kl"]), **interval)
            nll_low, nll_high = bootstrap_mean(list(at["nll"]), **interval)
            measured.append(
                {
                    "n_bystanders": len(at),
                    "kl_nats": at["kl"].mean(),
                    "kl_low": kl_low,
                    "kl_high": kl_high,
                    "perplexity": np.exp(at["nll"].mean()),
                    "perplexity_low": np.exp(nll_low),
                    "perplexity_high": np.exp(nll_high),
                    "base_perplexity": np.exp(at["base_nll"].mean()),
                }
            )
        matched = matched_coefficients(doses, flip_rate=flip_rate)
        tables.append(
            pd.concat([doses.reset_index(drop=True), pd.DataFrame(measured)], axis=1).assign(
                matched=matched.to_numpy()
            )
        )
    return pd.concat(tables, ignore_index=True)
