"""Tables of ablations, value vectors, nodes, neurons and attention maps."""

from __future__ import annotations

from steering_study.store.columns import (
    ABLATION,
    ATTACK_SUCCESS,
    CONDITION,
    DATASET,
    DEGENERATE_RATE,
    HIGH,
    LABEL,
    LOW,
    METHOD,
    N_POSITIONS,
    PROMPT_ID,
    RANK,
    SETTING,
    N,
)
from steering_study.store.schema import Table, boolean, integer, number, string, strings

SCOPE = string("positions that the vector is added at - all, prompt, response")
BLOCK = integer("block, counted from 0; -1 where there is none")
HEAD = integer("head, counted from 0; -1 where there is none")
IE = number("indirect effect, logits a position")
NODE = string("a12.h3 (head), a12 (attention of the block), m12 (its MLP)")
SOURCE = string("direction that is read - vector, a12.h3 (value vector of the head), sum (of all heads)")

FROZEN_SETTINGS = Table(
    "frozen_settings",
    {
        "setting": SETTING,
        "scope": SCOPE,
        "ablation": ABLATION,
    },
)

ABLATIONS = Table(
    "ablations",
    {
        "method": METHOD,
        "scope": SCOPE,
        "ablation": ABLATION,
        "dataset": DATASET,
        "n": N,
        "asr": ATTACK_SUCCESS,
        "asr_low": LOW,
        "asr_high": HIGH,
        "change_points": number(
            "change of attack success against none at the same scope, percentage points; positive where steering is weaker"
        ),
        "degenerate_rate": DEGENERATE_RATE,
        "condition": CONDITION,
        "change_low": LOW,
        "change_high": HIGH,
        "p_value": number("McNemar's, exact: as many texts change one way as the other"),
    },
)

ABLATION_MEANS = Table(
    "ablation_means",
    {
        "method": METHOD,
        "scope": SCOPE,
        "ablation": ABLATION,
        "n_cells": integer("pairs of model and main test set"),
        "n": integer("texts of all cells"),
        "change_points": number(
            "mean change of attack success of the cells, percentage points; positive where steering is weaker"
        ),
        "change_low": LOW,
        "change_high": HIGH,
        "degenerate_points": number("mean change of the degenerate share, percentage points"),
    },
)

NODES = Table(
    "nodes",
    {
        "method": METHOD,
        "node": NODE,
        "kind": string("attn_head, attn or mlp"),
        "block": BLOCK,
        "head": HEAD,
        "ie": IE,
        "ie_direct": number("of the node's edge to the LM head alone"),
        "norm_share": number("size of the vector's direct term in the node's change, of that change"),
        "cosine": number("cosine of a node's change with the part that the vector's direct term explains"),
        "moved": number("total variation between the attention weights of both runs"),
        "n_positions": N_POSITIONS,
    },
)

SVV_TOKENS = Table(
    "svv_tokens",
    {
        "method": METHOD,
        "source": SOURCE,
        "rank": RANK,
        "token": string("token of the vocabulary"),
        "logit": number("what the direction adds to it"),
        "sign": integer("1 for tokens that it promotes, -1 for those that it suppresses"),
        "token_id": integer("number of the token"),
        "in_words": boolean("whether it is one of the concept words"),
    },
)

SVV_CONCEPTS = Table(
    "svv_concepts",
    {
        "method": METHOD,
        "source": SOURCE,
        "block": BLOCK,
        "head": HEAD,
        "sign": integer("1 for its top tokens, -1 for those of its negative"),
        "ie": IE,
        "n_tokens": integer("top tokens that are looked at"),
        "n_words": integer("top tokens that are concept words"),
        "concept_score": number("their share"),
        "chance": number("share of the word list in the vocabulary"),
        "p_value": number("hypergeometric tail: as many concept words by chance"),
        "cosine": number("with the vector"),
        "norm": number("norm of the direction"),
    },
)

NEURONS = Table(
    "neurons",
    {
        "method": METHOD,
        "block": BLOCK,
        "neuron": integer("number in its MLP"),
        "rank": integer("place by size of the indirect effect in the whole model, from 1"),
        "ie": IE,
        "share": number("of the sum of |ie| over all neurons of the model"),
        "promotes": strings("tokens that the neuron writes"),
        "suppresses": strings("tokens that it writes against"),
        "n_positions": N_POSITIONS,
    },
)

ATTENTION_MAPS = Table(
    "attention_maps",
    {
        "method": METHOD,
        "prompt_id": PROMPT_ID,
        "label": LABEL,
        "node": NODE,
        "run": string("base or steer"),
        "query": integer("position that looks"),
        "key": integer("position that is looked at"),
        "query_token": string("token of the query"),
        "key_token": string("token of the key"),
        "weight": number("attention weight"),
    },
)
