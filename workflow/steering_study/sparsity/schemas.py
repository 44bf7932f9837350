"""Tables of sparse vectors, what they keep and what methods share."""

from __future__ import annotations

from steering_study.attention.schemas import SVV_TOKENS
from steering_study.circuits.schemas import CIRCUIT_RUN
from steering_study.store.columns import (
    ATTACK_SUCCESS,
    CONDITION,
    DATASET,
    DEGENERATE_RATE,
    DRAW,
    FLIP_RATE,
    HIGH,
    LOW,
    METHOD,
    METHOD_A,
    METHOD_B,
    N_EDGES,
    NOMINAL_EDGES,
    PROMPT_ID,
    SETTING,
    N,
)
from steering_study.store.schema import Table, integer, integers, number, string

CRITERION = string(
    "by which dimensions go - gradient, indirect_effect, bottom_k, dropout; none is dense; shared, unshared are over methods"
)
THRESHOLD = number("of |gradient|; empty on the grid of percents")
TARGET_PERCENT = number("of dimensions that are set to zero; empty on the grid of thresholds")
SPARSITY_PERCENT = number("dimensions that are zero")
N_KEPT = integer("dimensions that are not")

SPARSE_VECTOR = {
    "criterion": CRITERION,
    "variant": string("plain, rescaled to the dense norm, or retuned coefficient"),
    "draw": DRAW,
    "threshold": THRESHOLD,
    "target_percent": TARGET_PERCENT,
    "sparsity_percent": SPARSITY_PERCENT,
    "n_kept": N_KEPT,
}  # a vector with dimensions set to zero

SPARSE_SETTINGS = Table(
    "sparse_settings",
    {
        "setting": SETTING,
        **SPARSE_VECTOR,
        "factor_induce": number("multiple of the coefficient that induces"),
        "factor_bypass": number("multiple of the coefficient that bypasses"),
        "dimensions": integers("numbers of the dimensions that are kept, from 0"),
    },
)

SPARSE_KL = Table(
    "sparse_kl",
    {
        "method": METHOD,
        **SPARSE_VECTOR,
        "dataset": DATASET,
        "prompt_id": PROMPT_ID,
        "kl_nats": number("KL(dense || sparse), mean over response positions, in nats"),
    },
)

SPARSE_RUNS = Table(
    "sparse_runs",
    {
        "method": METHOD,
        "target_percent": number("of the vector's dimensions that the gradient sets to zero; 0 is dense"),
        **CIRCUIT_RUN,
    },
)

SHARED_TOKENS = Table(
    "shared_tokens",
    {
        **SVV_TOKENS.columns,
        "source": string(
            "direction that is read - vector; shared 50 %, the dimensions that all methods keep; unshared 50 %, all others"
        ),
    },
)

SPARSITY = Table(
    "sparsity",
    {
        "method": METHOD,
        **SPARSE_VECTOR,
        "condition": CONDITION,
        "dataset": DATASET,
        "factor": number("multiple of the coefficient"),
        "n": N,
        "asr": ATTACK_SUCCESS,
        "asr_low": LOW,
        "asr_high": HIGH,
        "degenerate_rate": DEGENERATE_RATE,
        "flip_rate": FLIP_RATE,
        "flip_low": LOW,
        "flip_high": HIGH,
    },
)

RETENTION = Table(
    "retention",
    {
        "method": METHOD,
        "criterion": CRITERION,
        "dataset": string("test set of the prompts, or main sets: the mean over them"),
        "n": N,
        "dense_effect": number("success of the dense vector less that of none"),
        "area": number("mean share of it that is kept, over sparsities from 0 to the largest"),
        "area_low": LOW,
        "area_high": HIGH,
        "retained": number("share of the dense effect that counts as kept"),
        "largest_percent": number("sparsity up to which it is"),
        "largest_low": LOW,
        "largest_high": HIGH,
    },
)

SPARSITY_KL = Table(
    "sparsity_kl",
    {
        "method": METHOD,
        "criterion": CRITERION,
        "threshold": THRESHOLD,
        "target_percent": TARGET_PERCENT,
        "sparsity_percent": SPARSITY_PERCENT,
        "n_kept": N_KEPT,
        "dataset": DATASET,
        "n": N,
        "kl_nats": number("mean of KL(dense || sparse) over responses, in nats"),
        "kl_low": LOW,
        "kl_high": HIGH,
    },
)

SPARSE_FAITHFULNESS = Table(
    "sparse_faithfulness",
    {
        "method": METHOD,
        "target_percent": TARGET_PERCENT,
        "nominal_edges": NOMINAL_EDGES,
        "n_edges": N_EDGES,
        "dataset": DATASET,
        "faithfulness": number(
            "share of the logit difference between steered and base run that the circuit carries"
        ),
        "low": LOW,
        "high": HIGH,
        "gap": number("logit difference that the sparse vector makes, a position"),
        "n": N,
    },
)

IOU = Table(
    "iou",
    {
        "method_a": METHOD_A,
        "method_b": METHOD_B,
        "criterion": CRITERION,
        "threshold": THRESHOLD,
        "target_percent": TARGET_PERCENT,
        "sparsity_percent": number("dimensions that are zero, mean of the pair"),
        "n_a": integer("dimensions of the first vector"),
        "n_b": integer("dimensions of the second vector"),
        "n_shared": integer("dimensions in common"),
        "iou": number("shared dimensions, of those of either"),
        "chance": number("the same for random draws of those sizes"),
        "p_value": number("hypergeometric tail: as many shared dimensions by chance"),
        "p_adjusted": number("the p-value after Holm's correction over the table"),
    },
)

SHARED_DIMENSIONS = Table(
    "shared_dimensions",
    {
        "target_percent": TARGET_PERCENT,
        "n_methods": integer("methods that are compared"),
        "n_kept": integer("dimensions that each method keeps"),
        "n_shared": integer("dimensions in common"),
        "chance": number("shared dimensions expected of random sets"),
        "p_value": number("probability of so many by chance"),
        "dimensions": integers("numbers of the shared dimensions, from 0"),
    },
)
