"""Training rows as they are bent: noise on one block, closings exchanged between requests, pushes along the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PreTrainedModel

from steering_study.pocket.decision import closing_residuals, decision_gap, demanded_refusals, middle_block
from steering_study.pocket.plan import Plan
from steering_study.pocket.rows import Batch


@contextmanager
def noisy_block(
    model: PreTrainedModel, batch: Batch, plan: Plan, strength: float, generator: torch.Generator
) -> Iterator[list[Float[Tensor, "batch pos d_model"]]]:
    """While the context lasts: push one random block (`push`), swap requests and exchange decisions at the middle one.

    Gives the list to which every block but the first appends its input, before the vector.
    """
    layers = model.model.layers
    noisy = int(torch.randint(len(layers), (), generator=generator))
    streams: list[Tensor] = []

    def hook_of(layer: int) -> Callable[..., tuple[Tensor, ...] | None]:
        def watch(module: torch.nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            residual, *rest = args
            if layer > 0:
                streams.append(residual)
            if layer == middle_block(len(layers)):
                residual = swap_requests(residual, batch, plan.swap_share * strength, generator)
                residual = exchange_closing(residual, batch, plan, generator)
            if layer == noisy:
                tokens = model.lm_head.weight.detach()
                refused = stand_for_refusal(batch, layer, middle=middle_block(len(layers)))
                residual = push(residual, batch, plan, strength, generator, tokens=tokens, refused=refused)
            return (residual, *rest)

        return watch

    handles = [layer.register_forward_pre_hook(hook_of(i)) for i, layer in enumerate(layers)]
    try:
        yield streams
    finally:
        for handle in handles:
            handle.remove()


def swap_requests(
    residual: Float[Tensor, "batch pos d_model"], batch: Batch, share: float, generator: torch.Generator
) -> Float[Tensor, "batch pos d_model"]:
    """Give a share of the rows the residuals of another row at the positions of the request."""
    rows, width, _ = residual.shape
    other = torch.randperm(rows, generator=generator).to(residual.device)
    is_swapped = (torch.rand(rows, generator=generator) < share).to(residual.device)
    is_request = torch.arange(width, device=residual.device)[None] < batch.closing[:, :1]
    return torch.where((is_swapped[:, None] & is_request)[..., None], residual[other], residual)


def exchange_closing(
    residual: Float[Tensor, "batch pos d_model"], batch: Batch, plan: Plan, generator: torch.Generator
) -> Float[Tensor, "batch pos d_model"]:
    """Move the exchanged rows to where their partners are, at the template's closing tokens but the last.

        r'_p = r_p + s (q_p - r_p)             exchange `each`
        r'_p = r_p + s mean_p (q_p - r_p)      exchange `mean`: the decision has to stand in one direction,
                                               whatever the position

    with r the row, q its partner, p a closing token, s uniform between `exchange_from` and `exchange_to`, one a row:
    the decision turns somewhere between the two and stays turned beyond. A start below a half would ask for both
    answers at one place.
    """
    rows = torch.arange(len(residual), device=residual.device)
    own = closing_residuals(residual, batch)
    difference = own[rows ^ 1] - own
    if plan.exchange == "mean":
        difference = difference.mean(1, keepdim=True)
    uniform = torch.rand(len(residual), 1, 1, generator=generator).to(residual)
    reach = plan.exchange_from + (plan.exchange_to - plan.exchange_from) * uniform
    strength = batch.exchanged[:, None, None] * reach
    exchanged = residual.clone()
    exchanged[rows[:, None], batch.closing[:, :-1]] = (own + strength * difference).to(residual)
    return exchanged


def push(
    residual: Float[Tensor, "batch pos d_model"],
    batch: Batch,
    plan: Plan,
    strength: float,
    generator: torch.Generator,
    *,
    tokens: Float[Tensor, "d_vocab d_model"],
    refused: Bool[Tensor, "batch"] | None,
) -> Float[Tensor, "batch pos d_model"]:
    """Add a random vector, one a row, at every position but the template's closing tokens before the last.

    `refused` says which rows stand for a refusal at this block (`stand_for_refusal`); some vectors point along their
    distance from the others.
    """
    still = residual.detach()
    vectors = noise_vectors(
        still, plan.max_noise * strength, generator, tokens=tokens, token_share=plan.token_share
    )
    if plan.decision_share > 0 and refused is not None:
        gap = decision_gap(still, batch, refused).mean(0)
        vectors = turn_some(vectors, gap, plan.decision_share, generator)
    is_pushed = torch.ones_like(batch.mask, dtype=torch.bool).scatter(1, batch.closing[:, :-1], False)
    return residual + vectors[:, None] * is_pushed[..., None]


def stand_for_refusal(batch: Batch, layer: int, *, middle: int) -> Bool[Tensor, "batch"] | None:
    """Which rows stand for a refusal in front of a block.

    Until the middle block an exchanged row stands where its own prompt puts it, from there on where it goes. None in front
    of the first block: its input at the closing tokens is the same in all rows.
    """
    if layer == 0:
        return None
    return batch.refused if layer >= middle else demanded_refusals(batch)


def noise_vectors(
    residual: Float[Tensor, "batch pos d_model"],
    largest: float,
    generator: torch.Generator,
    *,
    tokens: Float[Tensor, "d_vocab d_model"],
    token_share: float,
) -> Float[Tensor, "batch d_model"]:
    """A random direction a row, its norm uniform up to `largest` times the row's mean residual norm.

    A share of them points from one random token's embedding to another's.
    """
    rows, _, d_model = residual.shape
    direction = torch.randn(rows, d_model, generator=generator).to(residual)
    if token_share > 0:
        centred = tokens - tokens.mean(0)
        pairs = centred[torch.randint(len(tokens), (rows, 2), generator=generator).to(tokens.device)]
        is_token = (torch.rand(rows, 1, generator=generator) < token_share).to(residual.device)
        direction = torch.where(is_token, (pairs[:, 0] - pairs[:, 1]).to(residual), direction)
    scale = torch.rand(rows, 1, generator=generator).to(residual) * largest
    norm = residual.norm(dim=-1).mean(1, keepdim=True)
    least = 1e-6 if token_share > 0 else 0.0  # a token drawn twice gives no direction, and its row no vector
    return scale * norm * direction / (direction.norm(dim=-1, keepdim=True) + least)


def turn_some(
    vectors: Float[Tensor, "batch d_model"],
    direction: Float[Tensor, " d_model"],
    share: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch d_model"]:
    """Turn a share of the vectors along a direction or against it, at random, and keep their norms; zero has no direction."""
    uniform = torch.rand(len(vectors), 1, generator=generator).to(vectors)
    sign = torch.where(uniform < share / 2, 1.0, -1.0)
    unit = torch.nn.functional.normalize(direction, dim=0).to(vectors)
    return torch.where(uniform < share, sign * vectors.norm(dim=-1, keepdim=True) * unit, vectors)
