"""Greedy text, without and with steering: one way of decoding for every kind of run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from steering_study.models.batches import Batch, TokenIds, batches_by_length, left_pad, shared_prefix
from steering_study.models.caches import CachedAttention, SharedBlocks, first_of_each
from steering_study.models.hooks import Steering, check_steering
from steering_study.models.loading import ChatModel
from steering_study.models.memory import fitting_rows
from steering_study.models.weights import read_blocks, read_head

logger = logging.getLogger("steering_study")


@dataclass(frozen=True)
class Response:
    """A generated response: its tokens, the end-of-turn token included, and their log-probabilities.

    `logprobs` are in nats under the run that produced the tokens.
    """

    token_ids: TokenIds
    logprobs: tuple[float, ...]
    finished: bool


def generate(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    *,
    max_new_tokens: int,
    batch_size: int | None,
    steering: Steering | None = None,
    label: str = "generate",
) -> list[Response]:
    """Greedy continuations, one a prompt, each row steered by its own vector, coefficient and layer.

    Steering acts at every prompt and response token; padding is left alone. The result does not depend on
    batch size, order or the other prompts, up to rounding.

    Raises:
        ValueError: if steering has another number of rows than prompts, or does not fit the model, or a prompt leaves no
            room for an answer.
    """
    applied = _unsteered(model, len(prompts)) if steering is None else steering
    if len(applied.layers) != len(prompts):
        raise ValueError(f"steering has {len(applied.layers)} rows, expected one a prompt ({len(prompts)})")
    check_steering(applied, n_layers=model.card.n_layers, d_model=model.card.d_model)

    def respond(rows: list[int], batch: Batch, limits: list[int]) -> list[Response]:
        decoder = _SteeredDecoder(model, applied.select(rows))
        return decode(decoder, batch, end_ids=model.card.end_of_turn_ids, limits=limits)

    sizes = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}
    return decode_batches(model, prompts, respond, label=label, **sizes)


def _unsteered(model: ChatModel, n_rows: int) -> Steering:
    nothing = torch.zeros(model.card.d_model)
    return Steering.uniform(nothing, layer=model.card.n_layers - 1, coefficients=[0.0] * n_rows)


def decode_batches(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    respond: Callable[[list[int], Batch, list[int]], list[Response]],
    *,
    max_new_tokens: int,
    batch_size: int | None,
    label: str,
    streams: int = 1,
) -> list[Response]:
    """Responses to all prompts in their order, made batch by batch, longest prompts first.

    Args:
        respond: responses of a batch, from its rows of `prompts`, its tokens and the most tokens that each response may take.
        streams: runs that `respond` keeps side by side for each row.

    Raises:
        ValueError: if a prompt leaves no room for an answer in the model's context.
    """
    limits = response_limits(model, prompts, max_new_tokens=max_new_tokens)
    n_tokens = max(map(len, prompts), default=0) + max_new_tokens
    fitting = fitting_rows(model, batch_size, n_tokens=n_tokens, streams=streams)
    responses: dict[int, Response] = {}
    with torch.no_grad(), tqdm(total=len(prompts), desc=label, unit="text", disable=None, leave=False) as bar:
        for rows in batches_by_length(prompts, batch_size=fitting):
            batch = left_pad([prompts[i] for i in rows], pad=model.pad_id, device=model.device)
            answers = respond(rows, batch, [limits[i] for i in rows])
            responses.update(zip(rows, answers, strict=True))
            bar.update(len(rows))
    return [responses[i] for i in range(len(prompts))]


def response_limits(model: ChatModel, prompts: Sequence[TokenIds], *, max_new_tokens: int) -> list[int]:
    """The most tokens that each response may take: what its own prompt leaves of the context, whatever stands beside it.

    Raises:
        ValueError: if a prompt leaves no room for an answer.
    """
    context = model.card.context
    limits = [min(max_new_tokens, context - len(prompt)) for prompt in prompts]
    if full := [len(prompt) for prompt, limit in zip(prompts, limits, strict=True) if limit < 1]:
        raise ValueError(
            f"{len(full)} prompt(s) leave no room for an answer: the longest has {max(full)} tokens, the context of "
            f"{model.card.name} is {context}; shorten it or leave it out"
        )
    if short := sum(limit < max_new_tokens for limit in limits):
        logger.info(
            "%d of %d prompts leave room for fewer than %d tokens in the context of %d",
            short,
            len(prompts),
            max_new_tokens,
            context,
        )
    return limits


@runtime_checkable
class Decoder(Protocol):
    """What predicts the next token of each row, and remembers what it has seen.

    One that has `reads_in_parts` takes a prompt in several calls.
    """

    def next_logits(
        self,
        ids: Int[Tensor, "batch new"],
        mask: Int[Tensor, "batch pos"],
        positions: Int[Tensor, "batch new"],
    ) -> Float[Tensor, "batch d_vocab"]:
        """Logits after new tokens; `mask` covers the tokens seen before as well."""
        ...

    def select(self, rows: Int[Tensor, "row"]) -> None:
        """Forget all rows but these."""
        ...


def decode(
    decoder: Decoder, batch: Batch, *, end_ids: Sequence[int], limits: Sequence[int]
) -> list[Response]:
    """Greedy responses of a batch: prefill once, then a token a step; rows that are done leave when a quarter is.

    Args:
        limits: the most tokens of each response, at least one.
    """
    tokens: list[list[int]] = [[] for _ in range(len(batch.ids))]
    logprobs: list[list[float]] = [[] for _ in range(len(batch.ids))]
    ends, most = (torch.tensor(values, device=batch.ids.device) for values in (end_ids, limits))
    alive = list(range(len(batch.ids)))  # rows of the decoder, as rows of the batch
    done = torch.zeros(len(alive), dtype=torch.bool, device=batch.ids.device)
    ids, mask, positions = batch.ids, batch.mask, batch.position_ids
    if getattr(decoder, "reads_in_parts", False):
        first, ids, mask, positions = split_prefix(batch)
        if first.shape[1]:
            decoder.next_logits(first, mask[:, : first.shape[1]], positions[:, : first.shape[1]])
            positions = positions[:, first.shape[1] :]
    for n_taken in range(1, max(limits) + 1):
        best, best_logprob = _greedy(decoder.next_logits(ids, mask, positions))
        for row, token, logprob, skip in zip(
            alive, best.tolist(), best_logprob.tolist(), done.tolist(), strict=True
        ):
            if not skip:
                tokens[row].append(token)
                logprobs[row].append(logprob)
        done = done | torch.isin(best, ends) | (most <= n_taken)
        if bool(done.all()):
            break
        if int(done.sum()) * 4 >= len(alive):
            keep = (~done).nonzero()[:, 0]
            decoder.select(keep)
            mask, positions, best = mask[keep], positions[keep], best[keep]
            done, most = done[keep], most[keep]
            alive = [alive[i] for i in keep.tolist()]
        # A row that is done goes no further: some families' rotary frequencies change with the furthest position of a batch
        ids, positions = best[:, None], positions[:, -1:] + (~done)[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
    return [
        Response(tuple(ids_), tuple(logprobs_), finished=ids_[-1] in end_ids)
        for ids_, logprobs_ in zip(tokens, logprobs, strict=True)
    ]


def split_prefix(
    batch: Batch,
) -> tuple[
    Int[Tensor, "batch shared"],
    Int[Tensor, "batch rest"],
    Int[Tensor, "batch pos"],
    Int[Tensor, "batch pos"],
]:
    """What all rows begin with, such as the system block of a chat template, and the rest of each, padded on its left.

    Returns:
        The shared tokens, the others, and mask and positions of both together: shared, padding, others.
    """
    rows = [ids[is_real].tolist() for ids, is_real in zip(batch.ids, batch.mask.bool(), strict=True)]
    n_shared = shared_prefix(rows)
    rest = left_pad([row[n_shared:] for row in rows], pad=int(batch.ids[0, 0]), device=batch.ids.device)
    first = batch.ids.new_tensor([row[:n_shared] for row in rows])
    mask = torch.cat([torch.ones_like(first), rest.mask], dim=1)
    return first, rest.ids, mask, Batch(mask, mask).position_ids


class _SteeredDecoder:
    """A model with a vector of each row's own at its layer.

    Blocks below the first of these layers are shared by all rows that read alike, those from it on by rows that are steered
    alike as well.
    """

    reads_in_parts = True

    def __init__(self, model: ChatModel, steering: Steering) -> None:
        lowest, device = int(steering.layers.min()), model.device
        scaled = steering.coefficients.to(device)[:, None] * steering.vectors.to(device).float()
        self._shift = scaled[:, None]
        self._block = (steering.layers - lowest).to(device)  # that each row is steered before
        self._steered_blocks = set(self._block.tolist())
        self._below, self._attention = SharedBlocks(model, layer=lowest), CachedAttention()
        self._weights, self._head = read_blocks(model, layer=lowest), read_head(model)
        keyed = torch.cat([scaled, self._block[:, None].to(scaled.dtype)], dim=1)
        # rows of a group have been steered and have read alike, and share keys and values
        self._group: Int[Tensor, "batch"] = torch.unique(keyed, dim=0, return_inverse=True)[1]

    def next_logits(
        self,
        ids: Int[Tensor, "batch new"],
        mask: Int[Tensor, "batch pos"],
        positions: Int[Tensor, "batch new"],
    ) -> Float[Tensor, "batch d_vocab"]:
        resid, (cos, sin) = self._below.run(ids, mask, positions)
        is_real = mask[:, -ids.shape[1] :]
        before = self._group
        self._group, first = first_of_each(torch.cat([before[:, None], ids, is_real], dim=1))
        self._attention.select(before[first])
        self._attention.begin((cos[first], sin[first]), mask[first])
        resid = resid[first]
        for i, block in enumerate(self._weights):
            if i in self._steered_blocks:
                is_steered = is_real[first].bool() & (self._block[first] == i)[:, None]
                resid = resid + (self._shift[first] * is_steered[..., None]).to(resid.dtype)
            resid = self._attention.run_block(i, block, resid)
        return self._head.logits(resid[:, -1])[self._group]

    def select(self, rows: Int[Tensor, "row"]) -> None:
        self._below.select(rows)
        self._group = self._group[rows]
        self._shift, self._block = self._shift[rows], self._block[rows]


def _greedy(logits: Float[Tensor, "batch d_vocab"]) -> tuple[Int[Tensor, "batch"], Float[Tensor, "batch"]]:
    """Most likely token of each row and its log-probability."""
    logprobs = logits.log_softmax(-1)
    best = logprobs.max(-1)
    return best.indices, best.values
