"""DIM: difference of mean `resid_pre` between harmful and harmless prompts (docs/vectors.md, arXiv:2406.11717).

1. Mean residual per class, layer and post-instruction position, one pass, summed in float64.
2. A candidate direction per (layer, position): mean harmful - mean harmless.
3. Each candidate is scored on validation prompts: `bypass`, `induce`, `kl`, `ablation`.
4. `selection.select_candidate` chooses one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from steering_study.models.batches import Batch, TokenIds
from steering_study.models.hooks import Steering, directional_ablation, record
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


def score_candidates(
    model: ChatModel,
    directions: ClassMeans,
    *,
    harmful: Sequence[TokenIds],
    harmless: Sequence[TokenIds],
    refusal_ids: Sequence[int],
    batch_size: int | None,
) -> pd.DataFrame:
    """Scores of every candidate direction on validation prompts.

    `bypass`: mean refusal metric on harmful prompts at coefficient -1. `induce`: on harmless prompts at +1.
    `kl`: KL(next token without || with directional ablation) in nats on harmless prompts. `ablation`: mean
    refusal metric on harmful prompts with the direction ablated, which Arditi et al. minimise.

    Returns:
        One row a candidate: layer, position (negative, from the end), bypass, induce, kl, ablation.
    """
    n_layers, n_positions, _ = directions.shape
    harmful_batches = [batch for _, batch in prompt_batches(model, harmful, batch_size)]
    harmless_batches = [batch for _, batch in prompt_batches(model, harmless, batch_size)]
    base = [last_logits(model, batch).log_softmax(-1) for batch in harmless_batches]
    rows = []
    candidates = [(layer, position) for layer in range(n_layers) for position in range(-n_positions, 0)]
    for layer, position in tqdm(candidates, desc="candidates", disable=None, leave=False):
        s = directions[layer, position].float().to(model.device)

        def steered(batches: list[Batch], coefficient: float, s: Tensor = s, layer: int = layer) -> float:
            return _mean(
                refusal_metric(
                    last_logits(
                        model,
                        b,
                        steering=Steering.uniform(s, layer=layer, coefficients=[coefficient] * len(b.ids)),
                    ),
                    refusal_ids,
                )
                for b in batches
            )

        def ablated(batch: Batch, s: Tensor = s) -> Tensor:
            return last_logits(
                model, batch, hooks=directional_ablation(s.expand(len(batch.ids), -1), n_layers=n_layers)
            )

        divergences = [
            (p.exp() * (p - ablated(batch).log_softmax(-1))).sum(-1)
            for p, batch in zip(base, harmless_batches, strict=True)
        ]
        rows.append(
            {
                "layer": layer,
                "position": position,
                "bypass": steered(harmful_batches, -1.0),
                "induce": steered(harmless_batches, 1.0),
                "kl": _mean(divergences),
                "ablation": _mean(refusal_metric(ablated(batch), refusal_ids) for batch in harmful_batches),
            }
        )
    return pd.DataFrame(rows)


def _mean(parts: object) -> float:
    """Mean over all rows of per-batch values."""
    return float(torch.cat([part.double() for part in parts]).mean())  # pyright: ignore[reportGeneralTypeIssues]
