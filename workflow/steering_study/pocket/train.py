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
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
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

from steering_study.pocket.corpus import Mixture, iterate_examples
from steering_study.pocket.decision import closing_residuals, decision_gap, demanded_refusals, middle_block
from steering_study.pocket.exchange import noisy_block
from steering_study.pocket.plan import Plan, Shape
from steering_study.pocket.rows import IGNORED, Batch, batches
from steering_study.pocket.tokenizer import train_tokenizer


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
