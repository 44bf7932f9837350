"""Tables of candidates, contrast pairs, trials, training and agreement."""

from __future__ import annotations

from steering_study.store.columns import (
    COEFFICIENT,
    CONDITION,
    DEGENERATE_RATE,
    FLIP_RATE,
    LABEL,
    LAYER,
    METHOD,
    METHOD_A,
    METHOD_B,
    PROMPT,
    PROMPT_ID,
    SELECTED,
    SPLIT,
    N,
)
from steering_study.store.schema import Table, boolean, integer, integers, number, string

CANDIDATES = Table(
    "candidates",
    {
        "layer": LAYER,
        "position": integer("of the prompt, counted from its end; -1 is the last token"),
        "bypass": number("mean refusal metric (log odds) on harmful prompts, vector subtracted"),
        "induce": number("the same on harmless prompts, vector added"),
        "kl": number("nats, next-token KL on harmless prompts when the direction is projected out"),
        "ablation": number("mean refusal metric on harmful prompts when the direction is projected out"),
        "kept": boolean("whether the candidate passes the filters"),
        "reason": string("why it does not"),
        "selected": SELECTED,
    },
)

CANDIDATE_FLIPS = Table(
    "candidate_flips",
    {
        "layer": LAYER,
        "position": integer("of the prompt, counted from its end; -1 is the last token"),
        "condition": CONDITION,
        "coefficient": COEFFICIENT,
        "n": N,
        "flip_rate": FLIP_RATE,
        "degenerate_rate": DEGENERATE_RATE,
        "selected": boolean("whether the candidate is chosen, as it flips most"),
    },
)

PAIRS = Table(
    "pairs",
    {
        "prompt_id": PROMPT_ID,
        "split": SPLIT,
        "label": LABEL,
        "origin": string("of the desired response: asked for in the prompt, or steered by DIM"),
        "sign": number("of the coefficient that should bring the desired response about"),
        "prompt": PROMPT,
        "desired": string("response with the behaviour that steering should bring about"),
        "undesired": string("response with the other behaviour"),
        "desired_ids": integers("tokens of the desired response"),
        "undesired_ids": integers("tokens of the undesired one"),
        "reason": string("why the pair is not kept; empty where it is"),
        "kept": boolean("whether vectors are trained on it"),
    },
)

TRIALS = Table(
    "trials",
    {
        "method": METHOD,
        "layer": LAYER,
        "trial": integer("number of the trial in the search"),
        "learning_rate": number("at the first step"),
        "batch_size": integer("pairs a step"),
        "epochs": integer("passes over the pairs"),
        "seed": integer("of the first vector and of the order of pairs"),
        "phi": number("PO's factor; empty for methods without it"),
        "n_pairs": integer("training pairs"),
        "validation_loss": number("nats, after the last epoch"),
        "match_score": number("share of validation response tokens that steering predicts"),
        "norm": number("norm of the vector"),
        "beta_q10": number("lower decile of PO's beta over the training pairs; empty for other methods"),
        "beta_q50": number("its median"),
        "beta_q90": number("its upper decile"),
        "selected": SELECTED,
    },
)

TRAINING = Table(
    "training",
    {
        "method": METHOD,
        "layer": LAYER,
        "trial": integer("number of the trial in the search"),
        "epoch": integer("passes over the pairs; 0 is before the first step"),
        "loss": number("nats, mean over the epoch's pairs"),
        "validation_loss": number("nats"),
        "norm": number("norm of the vector"),
    },
)

COSINE = Table(
    "cosine",
    {
        "method_a": METHOD_A,
        "method_b": METHOD_B,
        "cosine": number("cosine similarity of the two vectors"),
    },
)
