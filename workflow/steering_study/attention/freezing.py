"""Greedy text with attention weights or values held at the base run, or inputs cleared of the vector (docs/attention.md).

1. Below the steering layer every stream sees the same tokens: these blocks run once, and once for rows that read alike.
2. From it on two streams decode side by side on the steered stream's own tokens, as rows of one batch: the steered
   one, x + coefficient * vector, and the base one, x. Each has its keys and values; no prefix is run again.
3. In each block the steered stream's queries, keys or values are replaced by the base stream's (q, k, qk, ov), or its
   values lose the vector's direct term (svv):

       v = (norm(x) - shift * gamma / rms(x)) W_V

   and its MLP reads norm(x) - shift * gamma / rms(x) (mlp), or norm(x - shift) (mlp_pre_norm).

Each row has a shift, a scope and an ablation of its own, so that a table of them is one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steering_study.attention.ablations import SCOPES, Ablation, heads_of, mlps_of
from steering_study.models.batches import Batch, TokenIds
from steering_study.models.blocks import (
    BlockWeights,
    attn_out,
    direct_term,
    mlp_of,
    normed,
    project,
    queries_keys_values,
)
from steering_study.models.caches import CachedAttention, SharedBlocks
from steering_study.models.decoding import Response, decode, decode_batches
from steering_study.models.loading import ChatModel
from steering_study.models.weights import read_blocks, read_head


@dataclass(frozen=True)
class Treatment:
    """How a text is made: coefficient * vector, the positions that it is added at, and what is ablated.

    `scope`: all; prompt, the positions that predict no response token; or response, those that do, the last token of the
    prompt the first of them.
    """

    shift: Float[Tensor, "d_model"]
    scope: str
    ablation: Ablation


def generate_frozen(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    treatments: Sequence[Treatment],
    *,
    layer: int,
    max_new_tokens: int,
    batch_size: int | None,
    label: str,
) -> list[Response]:
    """Greedy continuations, one a prompt, each under its own treatment.

    Raises:
        ValueError: if the model has no such layer, head or MLP, or a vector has another width than the model.
    """
    check_treatments(model, treatments, layer=layer)
    sizes = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}

    def respond_to(chosen: list[int], streams: int) -> list[Response]:
        def respond(rows: list[int], batch: Batch, limits: list[int]) -> list[Response]:
            decoder = _FrozenDecoder(model, [treatments[chosen[row]] for row in rows], layer=layer)
            return decode(decoder, batch, end_ids=model.card.end_of_turn_ids, limits=limits)

        return decode_batches(
            model, [prompts[i] for i in chosen], respond, label=label, streams=streams, **sizes
        )

    responses: dict[int, Response] = {}
    for needs_base in (False, True):  # rows that hold nothing do without a second stream
        group = [i for i, treatment in enumerate(treatments) if treatment.ablation.needs_base == needs_base]
        responses.update(zip(group, respond_to(group, 1 + needs_base), strict=True))
    return [responses[i] for i in range(len(prompts))]


def check_treatments(model: ChatModel, treatments: Sequence[Treatment], *, layer: int) -> None:
    """Refuse what the model does not have, before any text is made.

    Raises:
        ValueError: naming what was expected and what was found.
    """
    card = model.card
    if not 0 <= layer < card.n_layers:
        raise ValueError(f"layer={layer} is outside 0..{card.n_layers - 1} of {card.name}")
    for width in {len(each.shift) for each in treatments}:
        if width != card.d_model:
            raise ValueError(
                f"steering vector has width {width}, {card.name}'s d_model is {card.d_model}; a vector only steers "
                "the model it was made for"
            )
    for scope in {each.scope for each in treatments}:
        if scope not in SCOPES:
            raise ValueError(f"scope={scope!r} is unknown; expected one of {', '.join(SCOPES)}")
    for ablation in {each.ablation.name: each.ablation for each in treatments}.values():
        heads_of(ablation, layer=layer, n_layers=card.n_layers, n_heads=card.n_heads)
        mlps_of(ablation, layer=layer, n_layers=card.n_layers)


@dataclass(frozen=True)
class _Rows:
    """Treatments as tensors, a row each."""

    shift: Float[Tensor, "row d_model"]
    in_prompt: Bool[Tensor, "row"]
    in_response: Bool[Tensor, "row"]
    holds_queries: Bool[Tensor, "row"]
    holds_keys: Bool[Tensor, "row"]
    holds_values: Bool[Tensor, "row"]
    clears_values: Bool[Tensor, "row"]
    heads: Bool[Tensor, "row block head"]
    mlps: Bool[Tensor, "row block"]  # cleared behind the norm
    mlps_pre_norm: Bool[Tensor, "row block"]

    @classmethod
    def of(cls, treatments: Sequence[Treatment], model: ChatModel, *, layer: int) -> _Rows:
        card, ablations = model.card, [each.ablation for each in treatments]
        mlps = torch.tensor(
            [mlps_of(each, layer=layer, n_layers=card.n_layers).tolist() for each in ablations]
        )
        heads = [
            heads_of(each, layer=layer, n_layers=card.n_layers, n_heads=card.n_heads).tolist()
            for each in ablations
        ]

        def flags(name: str) -> Tensor:
            return torch.tensor([getattr(each, name) for each in ablations])

        held = ("holds_queries", "holds_keys", "holds_values", "clears_values")
        found = cls(
            shift=torch.stack([each.shift for each in treatments]),
            in_prompt=torch.tensor([each.scope != "response" for each in treatments]),
            in_response=torch.tensor([each.scope != "prompt" for each in treatments]),
            **{name: flags(name) for name in held},
            heads=torch.tensor(heads),
            mlps=mlps & flags("clears_mlp")[:, None],
            mlps_pre_norm=mlps & flags("clears_mlp_pre_norm")[:, None],
        )
        return found._map(lambda value: value.to(model.device))

    def select(self, rows: Int[Tensor, "row"]) -> _Rows:
        return self._map(lambda value: value[rows])

    def _map(self, change: Callable[[Tensor], Tensor]) -> _Rows:
        return _Rows(**{name: change(value) for name, value in vars(self).items()})

    @property
    def are_partial(self) -> bool:
        """Whether some row changes some heads of a block and leaves others."""
        touched = self.heads.any(-1).any(-1)
        return bool((touched[:, None, None] & ~self.heads).any())


class _FrozenDecoder:
    """A model under treatments: the streams are rows of one batch, the steered ones first, then the base ones."""

    def __init__(self, model: ChatModel, treatments: Sequence[Treatment], *, layer: int) -> None:
        self._rows = _Rows.of(treatments, model, layer=layer)
        self._weights, self._head = read_blocks(model, layer=layer), read_head(model)
        self._below, self._attention = SharedBlocks(model, layer=layer), CachedAttention()
        self._has_base = any(each.ablation.needs_base for each in treatments)
        # heads that are left alone attend with the steered stream's own keys and values
        self._has_own = self._rows.are_partial
        self._n_attending = 1 + self._has_base + self._has_own
        self._clears_values = any(each.ablation.clears_values for each in treatments)
        self._clears_mlp = any(each.ablation.clears_mlp for each in treatments)
        self._clears_mlp_pre_norm = any(each.ablation.clears_mlp_pre_norm for each in treatments)
        self._is_prefill = True

    def next_logits(
        self,
        ids: Int[Tensor, "batch new"],
        mask: Int[Tensor, "batch pos"],
        positions: Int[Tensor, "batch new"],
    ) -> Float[Tensor, "batch d_vocab"]:
        resid, rope = self._below.run(ids, mask, positions)
        copies = self._n_attending
        self._attention.begin(
            (rope[0].repeat(copies, 1, 1), rope[1].repeat(copies, 1, 1)), mask.repeat(copies, 1)
        )
        shift = self._shift_at(mask[:, -ids.shape[1] :].bool()).to(resid.dtype)
        x = torch.cat([resid + shift, resid]) if self._has_base else resid + shift
        for i, block in enumerate(self._weights):
            x = x + attn_out(block, self._attend(i, block, x, shift))
            x = x + mlp_of(block, self._mlp_input(i, block, x, shift))
        return self._head.logits(x[: len(ids), -1])

    def select(self, rows: Int[Tensor, "row"]) -> None:
        n_rows = len(self._rows.shift)
        self._below.select(rows)
        self._attention.select(torch.cat([rows + n_rows * copy for copy in range(self._n_attending)]))
        self._rows = self._rows.select(rows)

    def _shift_at(self, is_real: Bool[Tensor, "row new"]) -> Float[Tensor, "row new d_model"]:
        """What is added at the new positions of each row."""
        is_response = torch.ones_like(is_real)
        if self._is_prefill:
            is_response[:, :-1] = False
        self._is_prefill = False
        rows = self._rows
        steered = torch.where(is_response, rows.in_response[:, None], rows.in_prompt[:, None])
        return rows.shift[:, None] * (steered & is_real)[..., None]

    def _attend(
        self, i: int, block: BlockWeights, x: Float[Tensor, "stream new d_model"], shift: Tensor
    ) -> Float[Tensor, "stream new head d_head"]:
        """The z of every stream."""
        rows, n_rows = self._rows, len(shift)
        hidden = normed(x, block.ln1, eps=block.eps)
        q, k, v = queries_keys_values(block, hidden)
        changed = [part[:n_rows] for part in (q, k, v)]
        if self._clears_values:
            direct = direct_term(shift, x[:n_rows], block.ln1, eps=block.eps)
            direct = direct * rows.clears_values[:, None, None]
            changed[2] = changed[2] - project(direct, block.W_V, None)
        if self._has_base:
            held = rows.holds_queries, rows.holds_keys, rows.holds_values
            changed = [
                torch.where(is_held[:, None, None, None], part[n_rows:], own)
                for is_held, part, own in zip(held, (q, k, v), changed, strict=True)
            ]
        streams = [
            torch.cat([new, part[n_rows:], *([part[:n_rows]] if self._has_own else [])])
            for new, part in zip(changed, (q, k, v), strict=True)
        ]
        z = self._attention(i, block, *streams)
        if not self._has_own:
            return z
        steered = torch.where(rows.heads[:, None, i, :, None], z[:n_rows], z[-n_rows:])
        return torch.cat([steered, z[n_rows:-n_rows]])

    def _mlp_input(
        self, i: int, block: BlockWeights, x: Float[Tensor, "stream new d_model"], shift: Tensor
    ) -> Float[Tensor, "stream new d_model"]:
        """What the MLP of every stream reads, behind its norm."""
        rows, n_rows = self._rows, len(shift)
        if self._clears_mlp_pre_norm:
            before = shift * rows.mlps_pre_norm[:, i, None, None]
            x = torch.cat([x[:n_rows] - before, x[n_rows:]])
        hidden = normed(x, block.ln2, eps=block.eps)
        if self._clears_mlp:
            behind = shift * rows.mlps[:, i, None, None]
            direct = direct_term(behind, x[:n_rows], block.ln2, eps=block.eps)
            hidden = torch.cat([hidden[:n_rows] - direct, hidden[n_rows:]])
        return hidden
