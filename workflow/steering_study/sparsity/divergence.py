"""How far a sparse vector's predictions are from the dense one's, on texts that the dense one wrote.

    KL(k) = mean over response positions of KL(p_dense || p_sparse), in nats

Blocks below the steering layer run once for all vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.models.batches import TokenIds
from steering_study.models.loading import ChatModel
from steering_study.models.passes import response_batches, response_targets
from steering_study.models.sizes import MAX_LOGITS
from steering_study.models.tails import record_tail


def kl_to_dense(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    dense: Float[Tensor, "d_model"],
    sparse: Float[Tensor, "vector d_model"],
    *,
    layer: int,
    batch_size: int | None,
    max_logits: int = MAX_LOGITS,
) -> Float[Tensor, "vector response"]:
    """Mean KL of each response under each sparse vector.

    Args:
        dense, sparse: coefficient * vector.
    """
    mean_kl = torch.zeros(len(sparse), len(responses))
    sizes = {"batch_size": batch_size, "max_logits": max_logits}
    for rows, batch in response_batches(model, prompts, responses, **sizes):
        _, is_response = response_targets(batch, [len(responses[i]) for i in rows])
        tail = record_tail(model, batch, layer=layer)

        def predict(shift: Tensor, tail=tail, batch=batch, last=is_response.shape[1] + 1) -> Tensor:
            steered = (shift.to(tail.resid_pre.device) * batch.mask[..., None]).to(tail.resid_pre.dtype)
            return tail.run(tail.resid_pre + steered, last=last)[:, :-1].log_softmax(-1)

        with torch.no_grad():
            reference = predict(dense)
            for i, shift in enumerate(sparse):
                kl = (reference.exp() * (reference - predict(shift))).sum(-1)
                mean_kl[i, rows] = ((kl * is_response).sum(1) / is_response.sum(1)).float().cpu()
    return mean_kl
