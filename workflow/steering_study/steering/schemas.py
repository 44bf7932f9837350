"""Tables of what steering does, and what it costs."""

from __future__ import annotations

from steering_study.store.columns import (
    ATTACK_SUCCESS,
    COEFFICIENT,
    CONDITION,
    DATASET,
    DEGENERATE_RATE,
    FLIP_RATE,
    HIGH,
    JUDGE,
    LAYER,
    LOW,
    METHOD,
    MODEL,
    SELECTED,
    N,
)
from steering_study.store.schema import Table, boolean, integer, number, string

ASR = Table(
    "asr",
    {
        "model": MODEL,
        "method": METHOD,
        "condition": CONDITION,
        "dataset": DATASET,
        "coefficient": COEFFICIENT,
        "n": N,
        "asr": ATTACK_SUCCESS,
        "asr_low": LOW,
        "asr_high": HIGH,
        "degenerate_rate": DEGENERATE_RATE,
        "judge": JUDGE,
    },
)

JUDGE_AGREEMENT = Table(
    "judge_agreement",
    {
        "model": MODEL,
        "method": METHOD,
        "condition": CONDITION,
        "dataset": DATASET,
        "coefficient": COEFFICIENT,
        "n": N,
        "judge": JUDGE,
        "asr": ATTACK_SUCCESS,
        "asr_low": LOW,
        "asr_high": HIGH,
        "second_judge": string("name of the judge that reads the same texts"),
        "second_asr": number("attack success rate by the second judge"),
        "second_asr_low": LOW,
        "second_asr_high": HIGH,
        "first_alone": integer("texts that the first judge alone calls a refusal"),
        "second_alone": integer("texts that the second judge alone calls a refusal"),
        "differ_rate": number("share of texts on which they differ"),
        "differ_low": LOW,
        "differ_high": HIGH,
        "p_value": number("of McNemar's test that either calls as many texts a refusal"),
    },
)

BYSTANDERS = Table(
    "bystanders",
    {
        "model": MODEL,
        "method": METHOD,
        "condition": CONDITION,
        "dataset": DATASET,
        "coefficient": COEFFICIENT,
        "n": N,
        "refused_rate": number("share of refusals among prompts that steering should leave alone"),
        "refused_low": LOW,
        "refused_high": HIGH,
        "base_refused_rate": number("the same without steering"),
        "looping_rate": number("share of texts that repeat themselves"),
        "base_looping_rate": number("the same without steering"),
        "degenerate_rate": DEGENERATE_RATE,
        "base_degenerate_rate": number("degenerate share without steering"),
    },
)

FLIPS = Table(
    "flips",
    {
        "model": MODEL,
        "method": METHOD,
        "condition": CONDITION,
        "dataset": DATASET,
        "coefficient": COEFFICIENT,
        "n": N,
        "flip_rate": FLIP_RATE,
        "flip_low": LOW,
        "flip_high": HIGH,
        "degenerate_rate": DEGENERATE_RATE,
    },
)

DOSE_RESPONSE = Table(
    "dose_response",
    {
        "model": MODEL,
        "method": METHOD,
        "layer": LAYER,
        "condition": CONDITION,
        "coefficient": COEFFICIENT,
        "n": N,
        "flip_rate": FLIP_RATE,
        "flip_low": LOW,
        "flip_high": HIGH,
        "asr": ATTACK_SUCCESS,
        "degenerate_rate": DEGENERATE_RATE,
        "selected": SELECTED,
    },
)

SIDE_EFFECTS = Table(
    "side_effects",
    {
        **DOSE_RESPONSE.columns,
        "selected": boolean("whether it is the method's own coefficient"),
        "matched": boolean("the least coefficient that flips the share at which methods are compared"),
        "n_bystanders": integer("prompts that the condition should leave alone"),
        "kl_nats": number("KL a token of their unsteered responses, in nats"),
        "kl_low": LOW,
        "kl_high": HIGH,
        "perplexity": number("of the unsteered responses, under steering"),
        "perplexity_low": LOW,
        "perplexity_high": HIGH,
        "base_perplexity": number("the same without steering"),
    },
)

LAYERS = Table(
    "layers",
    {
        "model": MODEL,
        "method": METHOD,
        "layer": LAYER,
        "condition": CONDITION,
        "coefficient": COEFFICIENT,
        "n": N,
        "asr": ATTACK_SUCCESS,
        "asr_low": LOW,
        "asr_high": HIGH,
        "flip_rate": FLIP_RATE,
        "flip_low": LOW,
        "flip_high": HIGH,
        "degenerate_rate": DEGENERATE_RATE,
    },
)
