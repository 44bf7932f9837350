"""Vectors learned by gradient descent through the blocks above the steering layer (docs/vectors.md).

1. Force the desired, and where the loss asks for it the undesired, response of each pair; record the residuals
   that enter the steering layer, once.
2. Each trial of the search has a vector of its own, entries uniform in +-1/sqrt(d_model) from its seed.
3. Epoch by epoch, in an order from the seed: residual + sign * vector at every token, sign +1 where a refusal is
   desired and -1 where an answer is; the loss of the method on the log-probabilities of the responses; Adam,
   linear decay to 0, no weight decay.
4. The validation loss after each epoch.

Trials of one batch size run side by side as rows of one batch: the same numbers as one by one, up to rounding.
Vectors are float32 whatever the model's dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from steering_study.models.batches import TokenIds, left_pad
from steering_study.models.loading import ChatModel
from steering_study.models.memory import scored_rows
from steering_study.models.passes import joined, response_targets
from steering_study.models.tails import Tail, record_tail


@dataclass(frozen=True)
class Pair:
    """A prompt with the response that steering should bring about and the one that it should prevent."""

    prompt: TokenIds
    desired: TokenIds
    undesired: TokenIds
    sign: float  # of the coefficient that should bring it about: +1 a refusal, -1 an answer


@dataclass(frozen=True)
class Trial:
    """One point of the search."""

    learning_rate: float
    batch_size: int
    epochs: int
    seed: int
    max_gradient_norm: float | None
    factors: tuple[float, ...]  # coefficient's size: one value is fixed, of several one is drawn for each row
    phi: float | None = None  # PO: scale of beta
    length: Literal["answer", "sequence"] | None = None  # PO: what a response's log-probability is divided by


@dataclass(frozen=True)
class PairLogprobs:
    """Log-probabilities of both responses of each pair, in nats, summed over their tokens, and their lengths."""

    desired: Float[Tensor, "pair"]  # under steering
    undesired: Float[Tensor, "pair"]  # under the same steering; NaN if the objective does not use it
    base_desired: Float[Tensor, "pair"]
    base_undesired: Float[Tensor, "pair"]
    n_prompt: Int[Tensor, "pair"]
    n_desired: Int[Tensor, "pair"]
    n_undesired: Int[Tensor, "pair"]


@dataclass(frozen=True)
class Objective:
    """What a method minimises: a loss a pair, and whether it looks at the undesired response.

    `beta` is the weight of a pair, if the method has one: its quantiles are kept in the table of trials.
    """

    loss: Callable[[PairLogprobs, Trial], Float[Tensor, "pair"]]
    uses_undesired: bool
    beta: Callable[[PairLogprobs, Trial], Float[Tensor, "pair"]] | None = None


@dataclass(frozen=True)
class Forced:
    """Responses forced on their prompts: the tail that runs on them, and which tokens it is to predict."""

    tail: Tail
    targets: Int[Tensor, "pair pos"]  # right-aligned
    is_response: Bool[Tensor, "pair pos"]
    n_prompt: Int[Tensor, "pair"]
    base: Float[Tensor, "pair"]  # unsteered sum of log-probabilities

    @property
    def n_tokens(self) -> Int[Tensor, "pair"]:
        """Length of each response."""
        return self.is_response.sum(-1)


def force_responses(
    model: ChatModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    *,
    layer: int,
    batch_size: int,
) -> Forced:
    """Record the residuals of prompts followed by given responses; the tokens are joined, never the texts.

    Raises:
        ValueError: if a response is empty, or goes beyond the model's context with its prompt.
    """
    if not all(responses):
        raise ValueError("a response to force has no tokens; drop its pair")
    batch = left_pad(joined(model, prompts, responses), pad=model.pad_id, device=model.device)
    # The mask comes from lengths: an end-of-turn that also serves as padding stays in the loss.
    targets, is_response = response_targets(batch, [len(response) for response in responses])
    tail = record_tail(model, batch, layer=layer, batch_size=batch_size)
    n_prompt = batch.mask.sum(-1) - is_response.sum(-1)
    unscored = torch.zeros_like(n_prompt, dtype=torch.float)
    forced = Forced(tail, targets, is_response, n_prompt, base=unscored)
    nothing = tail.resid_pre.new_zeros(model.card.d_model)
    base = over_batches(
        forced, batch_size, lambda part: logprob_sums(part, nothing.expand(len(part.base), -1))
    )
    return replace(forced, base=base)


def over_batches(
    forced: Forced, batch_size: int, measure: Callable[[Forced], Float[Tensor, "pair"]]
) -> Float[Tensor, "pair"]:
    """A measure of every pair, without gradients, some rows at a time."""
    rows = torch.arange(len(forced.base), device=forced.base.device)
    with torch.no_grad():
        return torch.cat([measure(select_forced(forced, part)) for part in rows.split(batch_size)])


def token_logits(forced: Forced, shift: Float[Tensor, "pair d_model"]) -> Float[Tensor, "pair pos d_vocab"]:
    """Logits that predict each response token, with a vector a row added at every token of the steering layer."""
    resid = forced.tail.resid_pre + shift[:, None].to(forced.tail.resid_pre.dtype)
    n_positions = forced.targets.shape[1]
    return forced.tail.run(resid, last=n_positions + 1)[:, :-1]


def logprob_sums(forced: Forced, shift: Float[Tensor, "pair d_model"]) -> Float[Tensor, "pair"]:
    """Log-probability of each whole response, in nats, with a vector a row added at the steering layer."""
    logits = token_logits(forced, shift)
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), forced.targets, reduction="none")
    return -(losses * forced.is_response).sum(-1)


def match_counts(forced: Forced, shift: Float[Tensor, "pair d_model"]) -> Float[Tensor, "pair"]:
    """How many tokens of each response are the greedy prediction under steering."""
    hits = token_logits(forced, shift).argmax(-1) == forced.targets
    return (hits & forced.is_response).sum(-1).float()


def select_forced(forced: Forced, rows: Int[Tensor, "row"]) -> Forced:
    """Some pairs, in the order given."""
    return Forced(
        tail=forced.tail.select(rows),
        targets=forced.targets[rows],
        is_response=forced.is_response[rows],
        n_prompt=forced.n_prompt[rows],
        base=forced.base[rows],
    )


@dataclass(frozen=True)
class PairSet:
    """Pairs with both responses forced, and the sign of the coefficient of each."""

    desired: Forced
    undesired: Forced
    signs: Float[Tensor, "pair"]

    def select(self, rows: Int[Tensor, "row"]) -> PairSet:
        """Some pairs, in the order given."""
        return PairSet(
            select_forced(self.desired, rows), select_forced(self.undesired, rows), self.signs[rows]
        )


def pairs_of(model: ChatModel, frame: pd.DataFrame) -> list[Pair]:
    """Rows of the `pairs` table as token ids."""
    prompts = model.render(list(frame["prompt"]))
    columns = (frame["desired_ids"], frame["undesired_ids"], frame["sign"])
    return [
        Pair(prompt, tuple(desired), tuple(undesired), sign=sign)
        for prompt, desired, undesired, sign in zip(prompts, *columns, strict=True)
    ]


def responses_per_pass(model: ChatModel, frame: pd.DataFrame, batch_size: int | None) -> int:
    """Responses of a pass without gradients over rows of the `pairs` table; None: as many as memory holds."""
    longest = [
        (len(pair.prompt), max(len(pair.desired), len(pair.undesired))) for pair in pairs_of(model, frame)
    ]
    return scored_rows(
        model,
        batch_size,
        n_tokens=max(prompt + response for prompt, response in longest),
        n_scored=max(response for _, response in longest) + 1,
    )


def trials_of(points: Sequence[Mapping[str, Any]]) -> dict[int, Trial]:
    """Search points of the config, by their number."""
    return {point["trial"]: Trial(**{k: v for k, v in point.items() if k != "trial"}) for point in points}


def force_pairs(model: ChatModel, pairs: Sequence[Pair], *, layer: int, batch_size: int) -> PairSet:
    """Record the residuals of both responses of every pair."""
    prompts = [pair.prompt for pair in pairs]
    desired, undesired = (
        force_responses(model, prompts, responses, layer=layer, batch_size=batch_size)
        for responses in ([pair.desired for pair in pairs], [pair.undesired for pair in pairs])
    )
    return PairSet(desired, undesired, torch.tensor([pair.sign for pair in pairs], device=model.device))


def score_pairs(
    pairs: PairSet, shift: Float[Tensor, "pair d_model"], *, uses_undesired: bool
) -> PairLogprobs:
    """Both responses of each pair under the same steering."""
    desired, undesired = pairs.desired, pairs.undesired
    return PairLogprobs(
        desired=logprob_sums(desired, shift),
        undesired=logprob_sums(undesired, shift) if uses_undesired else undesired.base * torch.nan,
        base_desired=desired.base,
        base_undesired=undesired.base,
        n_prompt=desired.n_prompt,
        n_desired=desired.n_tokens,
        n_undesired=undesired.n_tokens,
    )


def initial_vector(d_model: int, *, seed: int) -> Float[Tensor, "d_model"]:
    """Entries uniform in +-1/sqrt(d_model)."""
    uniform = torch.rand(d_model, generator=torch.Generator().manual_seed(seed))
    return (2 * uniform - 1) / d_model**0.5


def train_trials(
    pairs: PairSet,
    validation: PairSet | None,
    trials: Sequence[Trial],
    *,
    objective: Objective,
    batch_size: int,
    label: str,
) -> tuple[Float[Tensor, "trial d_model"], pd.DataFrame]:
    """Train one vector a trial; trials of one batch size and length share their forward passes.

    Args:
        batch_size: rows of one forward pass without gradients, over the validation pairs.

    Returns:
        The vectors, and the curve: trial, epoch (0 is the start), loss, validation_loss (nats, mean over pairs), norm.
    """
    sizes = {(trial.batch_size, trial.epochs) for trial in trials}
    if len(sizes) > 1:
        raise ValueError(
            f"trials of several batch sizes and epochs {sorted(sizes)} cannot share their passes"
        )
    d_model = pairs.desired.tail.resid_pre.shape[-1]
    starts = [initial_vector(d_model, seed=trial.seed).to(pairs.signs) for trial in trials]
    vectors = [torch.nn.Parameter(start) for start in starts]
    draws = [torch.Generator().manual_seed(trial.seed) for trial in trials]
    n_pairs, size, epochs = len(pairs.signs), trials[0].batch_size, trials[0].epochs
    n_steps = epochs * -(-n_pairs // size)
    optimizer = torch.optim.Adam(
        [{"params": [v], "lr": trial.learning_rate} for v, trial in zip(vectors, trials, strict=True)]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_steps)
    losses = torch.full((len(trials), n_pairs), torch.nan)
    curve: list[dict[str, float]] = []

    def measure(epoch: int) -> None:
        for i, (vector, trial) in enumerate(zip(vectors, trials, strict=True)):
            heldout = torch.nan
            if validation is not None:
                heldout = validation_loss(validation, vector.detach(), trial, objective, batch_size)
            means = {"loss": float(losses[i].mean()), "validation_loss": heldout}
            curve.append({"trial": i, "epoch": epoch, **means, "norm": float(vector.detach().norm())})

    measure(0)
    with tqdm(total=n_steps, desc=label, unit="step", disable=None, leave=False) as progress:
        for epoch in range(1, epochs + 1):
            orders = torch.stack([torch.randperm(n_pairs, generator=draw) for draw in draws])
            for batch in orders.split(size, dim=1):
                step_losses = _step(pairs, batch, vectors, trials, draws, objective)
                _descend(step_losses, vectors, trials, optimizer)
                schedule.step()
                losses.scatter_(1, batch, step_losses.detach().cpu())
                progress.update()
            measure(epoch)
    return torch.stack([v.detach() for v in vectors]), pd.DataFrame(curve)


def _descend(
    losses: Float[Tensor, "trial pair"],
    vectors: Sequence[Tensor],
    trials: Sequence[Trial],
    optimizer: torch.optim.Optimizer,
) -> None:
    """One step of every trial on its own mean loss; the gradients of the trials do not meet."""
    optimizer.zero_grad(set_to_none=True)
    losses.mean(1).sum().backward()
    for vector, trial in zip(vectors, trials, strict=True):
        if trial.max_gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_([vector], trial.max_gradient_norm)
    optimizer.step()


def _step(
    pairs: PairSet,
    chosen: Int[Tensor, "trial pair"],
    vectors: Sequence[Tensor],
    trials: Sequence[Trial],
    draws: Sequence[torch.Generator],
    objective: Objective,
) -> Float[Tensor, "trial pair"]:
    """Losses of one batch of each trial, all trials in one pass."""
    size = chosen.shape[1]
    part = pairs.select(chosen.flatten().to(pairs.signs.device))
    factors = torch.cat(
        [
            torch.tensor(trial.factors)[torch.randint(len(trial.factors), (size,), generator=draw)]
            for trial, draw in zip(trials, draws, strict=True)
        ]
    ).to(pairs.signs)
    shift = torch.stack(list(vectors)).repeat_interleave(size, 0) * (part.signs * factors)[:, None]
    scores = score_pairs(part, shift, uses_undesired=objective.uses_undesired)
    return torch.stack(
        [
            objective.loss(_of_trial(scores, slice(i * size, (i + 1) * size)), trial)
            for i, trial in enumerate(trials)
        ]
    )


def _of_trial(scores: PairLogprobs, rows: slice) -> PairLogprobs:
    return PairLogprobs(**{name: value[rows] for name, value in vars(scores).items()})


def validation_loss(
    pairs: PairSet, vector: Float[Tensor, "d_model"], trial: Trial, objective: Objective, batch_size: int
) -> float:
    """Mean loss over the pairs at the full coefficient, +1 or -1."""
    rows = torch.arange(len(pairs.signs), device=pairs.signs.device)
    total = 0.0
    with torch.no_grad():
        for part in map(pairs.select, rows.split(batch_size)):
            scores = score_pairs(part, part.signs[:, None] * vector, uses_undesired=objective.uses_undesired)
            total += float(objective.loss(scores, trial).double().sum())
    return total / len(rows)


def match_score(pairs: PairSet, vector: Float[Tensor, "d_model"], *, batch_size: int) -> float:
    """Share of the tokens of the desired responses that are the greedy prediction under steering."""
    rows = torch.arange(len(pairs.signs), device=pairs.signs.device)
    hits = 0.0
    with torch.no_grad():
        for part in map(pairs.select, rows.split(batch_size)):
            hits += float(match_counts(part.desired, part.signs[:, None] * vector).sum())
    return hits / int(pairs.desired.n_tokens.sum())


def beta_quantiles(pairs: PairSet, trial: Trial, objective: Objective) -> dict[str, float]:
    """Quantiles of beta over the pairs, unsteered; NaN for a method without it."""
    names = {"beta_q10": 0.1, "beta_q50": 0.5, "beta_q90": 0.9}
    if objective.beta is None:
        return dict.fromkeys(names, float("nan"))
    unsteered = PairLogprobs(
        desired=pairs.desired.base,
        undesired=pairs.undesired.base,
        base_desired=pairs.desired.base,
        base_undesired=pairs.undesired.base,
        n_prompt=pairs.desired.n_prompt,
        n_desired=pairs.desired.n_tokens,
        n_undesired=pairs.undesired.n_tokens,
    )
    weights = objective.beta(unsteered, trial).double()
    return {name: float(weights.quantile(q)) for name, q in names.items()}
