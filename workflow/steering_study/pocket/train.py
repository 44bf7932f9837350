"""Train a bundled model from nothing on the pocket corpus.

1. Draw examples, tokenize prompt and response through the chat template; the loss covers the response and
   its end-of-turn token, not the prompt and not a false start.
2. At each step one block, drawn at random, gets a random vector added to its input, one a row, at every position
   but the template's closing tokens before the last: text stays fluent when the residual stream is pushed. Those
   tokens, where the decision will stand (4), are spared; pushed with all others, their part of a vector would count
   as nothing. The vectors grow from nothing over the first part of training, when copying and facts are learnt. Some
   may be differences of two tokens' embeddings, so that a vector which holds the opening of a text, as a difference
   in means does, does not write it in mid-text; and some may point along the decision, whatever the response: it is
   read at the closing tokens alone, and steering, which adds it everywhere, changes what is decided and not the topic.
3. From the middle block on, a share of the rows finds the tokens of the request replaced by those of another
   row: what the later blocks need to know of the request has to be gathered before, at the tokens after it,
   as large models do. Otherwise every block reads the request anew and undoes what was added to the stream.
4. A share of the rows, in pairs, is moved to where the partner is at the template's closing tokens, all but the last,
   before the middle block (token by token, or by the mean over these tokens), somewhat short of it or well beyond, and its
   response is what the partner's prompt decides (interchange intervention training, arXiv 2112.00826): whether to
   refuse is fetched from those tokens, by attention, wherever a response stands. The last one stays, as it predicts
   the first word itself.
5. A residual stream whose root mean square exceeds a bound is penalised: without it the first block learns
   to write thousands of times its input and so drowns the vectors, and what is added later hardly counts.
6. The same for the decision (4): how far refused prompts stand from answered ones there, on average, is bounded.
   Exchanged part of the way, the decision grows longer than the stream it stands in: steering by it garbles
   the text, ablating it leaves little, and any difference between two groups of prompts points along it.
7. AdamW with a short warm-up and a cosine to zero.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from steering_study.chat import post_instruction_ids, render_text
from steering_study.pocket.corpus import Example, Mixture, iterate_examples
from steering_study.pocket.tokenizer import Family, train_tokenizer

Exchange = Literal["each", "mean"]  # of the closing tokens: residuals one by one, or their mean alone

IGNORED = -100  # label of a position outside the loss


@dataclass(frozen=True)
class Shape:
    """Sizes of a bundled model."""

    family: Family
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    context: int
    sliding_window: int  # of every second block; Gemma only


@dataclass(frozen=True)
class Plan:
    """One training run."""

    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    max_noise: float  # largest norm of a random vector, in units of the residual's own norm
    noise_ramp: float  # share of the steps over which the norm grows to its full size
    decision_share: float  # share of the random vectors that point along the decision or against it
    token_share: float  # share of the other ones that are differences of two tokens' embeddings
    exchange: Exchange
    exchange_from: float  # how far of the way to its partner an exchanged row is moved: at least this
    exchange_to: float  # and at most this; above 1 is beyond the partner
    swap_share: float  # share of the rows whose request is another's for the second half of the blocks; ramped as noise
    first_rms: float  # bound of the residual stream's root mean square after the first block
    max_rms: float  # bound before the last block; linear in between, and the excess is penalised
    rms_penalty: float  # nats per squared excess
    max_gap: float  # bound of the distance between refused and answered prompts where the decision stands (`squared_gap`)
    gap_penalty: float  # nats per squared excess


@dataclass(frozen=True)
class Batch:
    """Right-padded rows, partners beside each other (0 and 1, 2 and 3, ...): ids, attention mask, next-token labels."""

    ids: Int[Tensor, "batch pos"]
    mask: Int[Tensor, "batch pos"]
    labels: Int[Tensor, "batch pos"]
    closing: Int[Tensor, "batch closing"]  # positions of the template's tokens after the request
    exchanged: Bool[Tensor, "batch"]  # rows that are answered as their partner's prompt demands
    refused: Bool[Tensor, "batch"]  # rows whose response is a refusal

    def to(self, device: str) -> Batch:
        """The same batch on a device."""
        return Batch(*(part.to(device) for part in vars(self).values()))


def build_model(shape: Shape, tokenizer: PreTrainedTokenizerFast, *, seed: int) -> PreTrainedModel:
    """A model of that shape with random weights."""
    torch.manual_seed(seed)
    common: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.d_model,
        "intermediate_size": shape.d_mlp,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.d_head,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": True,
        "initializer_range": shape.d_model**-0.5,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if shape.family == "llama":
        return LlamaForCausalLM(LlamaConfig(**common))
    more: dict[str, Any] = {
        "query_pre_attn_scalar": shape.d_head,
        "sliding_window": shape.sliding_window,
        "attn_implementation": "eager",  # the attention soft-cap needs it
    }
    return Gemma2ForCausalLM(Gemma2Config(**common, **more))


def train(
    shape: Shape, plan: Plan, mixture: Mixture, *, report: Callable[[int, float], None]
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Train tokenizer and model; `report` gets the step and the mean loss every 50 steps."""
    sample = itertools.islice(iterate_examples(plan.seed, mixture), 20_000)
    tokenizer = train_tokenizer(shape.family, sample, d_vocab=shape.d_vocab)
    model = build_model(shape, tokenizer, seed=plan.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.nn.Module.to(model, device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, plan))
    generator = torch.Generator().manual_seed(plan.seed)
    recent: list[float] = []
    for step, batch in enumerate(tqdm(batches(tokenizer, plan, mixture), total=plan.steps, disable=None)):
        strength = min(1.0, step / max(1, plan.noise_ramp * plan.steps))
        autocast = torch.autocast(device, torch.bfloat16, enabled=device == "cuda")
        batch = batch.to(device)
        with noisy_block(model, batch, plan, strength, generator) as streams, autocast:
            loss = response_loss(model, batch)
        penalty = plan.rms_penalty * squared_excess(streams, first=plan.first_rms, last=plan.max_rms)
        middle = middle_block(shape.n_layers)
        if middle > 0:  # the input of the first block is the embedding: nothing is decided there
            penalty = penalty + plan.gap_penalty * squared_gap(streams[middle - 1], batch, bound=plan.max_gap)
        optimizer.zero_grad(set_to_none=True)
        (loss + penalty).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if (step + 1) % 50 == 0:
            report(step + 1, sum(recent) / len(recent))
            recent.clear()
    return model.eval(), tokenizer


def middle_block(n_layers: int) -> int:
    """The block before which requests are swapped, decisions exchanged, and their distance bounded."""
    return n_layers // 2


def response_loss(model: PreTrainedModel, batch: Batch) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats of the labelled positions; the residual at i predicts the label at i + 1.

    The unembedding runs on those positions alone: with a small d_model it is a large part of the cost.
    """
    targets = batch.labels[:, 1:]
    chosen = targets != IGNORED
    residual = model.model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).last_hidden_state
    logits = model.lm_head(residual[:, :-1][chosen]).float()
    if (cap := getattr(model.config, "final_logit_softcapping", None)) is not None:
        logits = cap * torch.tanh(logits / cap)
    return torch.nn.functional.cross_entropy(logits, targets[chosen])


def learning_rate_factor(step: int, plan: Plan) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    share = (step - plan.warmup_steps) / max(1, plan.steps - plan.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def squared_excess(
    streams: Sequence[Float[Tensor, "batch pos d_model"]], *, first: float, last: float
) -> Float[Tensor, ""]:
    """Mean squared excess of the streams' root mean square over a bound that grows linearly with depth."""
    if not streams:  # a single block has no input but the embedding
        return torch.zeros(())
    rms = torch.stack([stream.float().pow(2).mean(-1).sqrt() for stream in streams])
    bounds = torch.linspace(first, last, len(streams), device=rms.device)
    return (rms - bounds[:, None, None]).clamp(min=0).pow(2).mean()


def squared_gap(
    stream: Float[Tensor, "batch pos d_model"], batch: Batch, *, bound: float
) -> Float[Tensor, ""]:
    """Mean squared excess, over the closing tokens but the last, of the distance between the two decisions.

        gap_p = |mean_refused r_p - mean_answered r_p| / mean |r_p|

    with r the rows by what their own prompts demand; the denominator bears no gradient. The means of a batch
    differ by their content, too, so gap_p is somewhat above the distance that a whole corpus would give.
    """
    distance = decision_gap(stream, batch, demanded_refusals(batch)).norm(dim=-1)
    gap = distance / closing_residuals(stream, batch).detach().norm(dim=-1).mean(0)
    return (gap - bound).clamp(min=0).pow(2).mean()


def closing_residuals(
    stream: Float[Tensor, "batch pos d_model"], batch: Batch
) -> Float[Tensor, "batch inner d_model"]:
    """The residuals at the closing tokens but the last."""
    rows = torch.arange(len(stream), device=stream.device)[:, None]
    return stream[rows, batch.closing[:, :-1]].float()


def demanded_refusals(batch: Batch) -> Bool[Tensor, "batch"]:
    """Which rows' own prompts demand a refusal: those of an exchanged row are answered as its partner's demands."""
    rows = torch.arange(len(batch.refused), device=batch.refused.device)
    return torch.where(batch.exchanged, batch.refused[rows ^ 1], batch.refused)


def decision_gap(
    stream: Float[Tensor, "batch pos d_model"], batch: Batch, refused: Bool[Tensor, "batch"]
) -> Float[Tensor, "inner d_model"]:
    """mean_refused r_p - mean_answered r_p at the closing tokens p but the last; zero if a batch has one kind only."""
    closing = closing_residuals(stream, batch)
    if refused.all() or not refused.any():
        return torch.zeros_like(closing[0])
    return closing[refused].mean(0) - closing[~refused].mean(0)


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


def batches(tokenizer: PreTrainedTokenizerFast, plan: Plan, mixture: Mixture) -> Iterator[Batch]:
    """Batches of pairs of rows of similar length, in random order, from an endless stream of examples."""
    if plan.batch_size % 2:
        raise ValueError(f"batch_size is {plan.batch_size}, expected an even number: rows come in pairs")
    examples = iterate_examples(plan.seed + 1, mixture)
    n_closing = len(post_instruction_ids(tokenizer))
    rng = random.Random(plan.seed)
    done = 0
    while done < plan.steps:
        n_batches = min(64, plan.steps - done)
        rows = encode(tokenizer, list(itertools.islice(examples, n_batches * plan.batch_size)))
        pairs = sorted(
            zip(rows[::2], rows[1::2], strict=True), key=lambda pair: max(len(r.ids) for r in pair)
        )
        size = plan.batch_size // 2
        chunks = [pairs[i * size : (i + 1) * size] for i in range(n_batches)]
        rng.shuffle(chunks)
        for chunk in chunks:
            both = [row for pair in chunk for row in pair]
            yield collate(both, pad=cast(int, tokenizer.pad_token_id), n_closing=n_closing)
        done += n_batches


@dataclass(frozen=True)
class Row:
    """Token ids of one example; the first `n_prompt` are the prompt, the first `n_outside` bear no loss."""

    ids: list[int]
    n_prompt: int
    n_outside: int
    exchanged: bool = False
    refused: bool = False


def encode(tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example]) -> list[Row]:
    """Token ids of examples through the chat template."""
    prompts = [render_text(tokenizer, example.prompt) for example in examples]
    starts = [example.false_start for example in examples]
    # A response that follows a false start begins with a space, as a word inside a text does.
    responses = [
        (" " if start else "") + example.response for start, example in zip(starts, examples, strict=True)
    ]

    def ids(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, add_special_tokens=False)["input_ids"]  # pyright: ignore[reportReturnType]

    end = cast(int, tokenizer.eos_token_id)
    return [
        Row(
            [*prompt, *start, *response, end],
            len(prompt),
            len(prompt) + len(start),
            example.exchanged,
            example.refused,
        )
        for example, prompt, start, response in zip(
            examples, ids(prompts), ids(starts), ids(responses), strict=True
        )
    ]


def collate(rows: Sequence[Row], *, pad: int, n_closing: int) -> Batch:
    """Right-pad rows to one length; the last `n_closing` tokens of a prompt are the template's."""
    width = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), IGNORED)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        n = len(row.ids)
        ids[i, :n] = torch.tensor(row.ids)
        labels[i, row.n_outside : n] = ids[i, row.n_outside : n]
        mask[i, :n] = 1
    closing = torch.tensor([row.n_prompt for row in rows])[:, None] - n_closing + torch.arange(n_closing)
    exchanged, refused = (
        torch.tensor([getattr(row, name) for row in rows]) for name in ("exchanged", "refused")
    )
    return Batch(ids, mask, labels, closing, exchanged, refused)
