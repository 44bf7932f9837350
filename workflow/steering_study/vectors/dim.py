"""DIM: difference of mean `resid_pre` between harmful and harmless prompts (docs/vectors.md, arXiv:2406.11717).

1. Mean residual per class, layer and post-instruction position, one pass, summed in float64.
2. A candidate direction per (layer, position): mean harmful - mean harmless.
3. Each candidate is scored on validation prompts (`candidates`): `bypass`, `induce`, `kl`, `ablation`.
4. `selection.select_candidate` chooses one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.models.batches import TokenIds
from steering_study.models.hooks import record
from steering_study.models.loading import ChatModel
from steering_study.models.passes import last_logits, prompt_batches

ClassMeans = Float[Tensor, "layer pos d_model"]


def mean_residuals(
    model: ChatModel, prompts: Sequence[TokenIds], *, n_positions: int, batch_size: int | None
) -> ClassMeans:
    """Mean of `resid_pre` over prompts, for every block, at the last `n_positions` tokens, in float64."""
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(model.card.n_layers)]
    total = torch.zeros(len(names), n_positions, model.card.d_model, dtype=torch.float64)
    for _, batch in prompt_batches(model, prompts, batch_size):
        store: dict[str, Tensor] = {}
        last_logits(model, batch, hooks=record(store, names, last=n_positions))
        total += torch.stack([store[name].double().sum(0).cpu() for name in names])
    return total / len(prompts)


def refusal_tokens(first_tokens: Sequence[int], *, coverage: float) -> tuple[int, ...]:
    """The fewest first tokens that open a share `coverage` of the refusals, most frequent first."""
    if not first_tokens:
        raise ValueError(
            "no unsteered refusal of a harmful training prompt was found, so the tokens that open a refusal "
            "are unknown; give them in config: model_options.<name>.refusal_tokens"
        )
    counts = Counter(first_tokens)
    chosen, covered = [], 0
    for token, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= coverage * len(first_tokens):
            break
        chosen.append(token)
        covered += count
    return tuple(chosen)


def refusal_metric(logits: Float[Tensor, "batch d_vocab"], tokens: Sequence[int]) -> Float[Tensor, "batch"]:
    """log(P / (1 - P)) with P the next-token mass of the refusal tokens, in float64 (docs/vectors.md)."""
    logits = logits.double()
    mask = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    mask[list(tokens)] = True
    return logits[:, mask].logsumexp(-1) - logits[:, ~mask].logsumexp(-1)
