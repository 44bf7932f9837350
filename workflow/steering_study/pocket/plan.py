"""What a bundled model is and how it is trained: its shape, and every setting of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from steering_study.pocket.tokenizer import Family

Exchange = Literal["each", "mean"]  # of the closing tokens: residuals one by one, or their mean alone


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
