"""Tables of edges, circuits and what they carry."""

from __future__ import annotations

from steering_study.store.columns import (
    ATTACK_SUCCESS,
    CONDITION,
    DATASET,
    DEGENERATE_RATE,
    DRAW,
    HIGH,
    LOW,
    METHOD,
    METHOD_A,
    METHOD_B,
    N_EDGES,
    N_POSITIONS,
    NOMINAL_EDGES,
    PROMPT_ID,
    RANK,
    N,
)
from steering_study.store.schema import Table, boolean, integer, number, string

KIND = string(
    "which circuit - own, own_signed, by_metric, held_out, interchanged, complement, random, without_*, or a patching set"
)
CIRCUIT_METHOD = string("method on whose responses the circuit was found")
RANKED_BY = string("that ranks the edges")
PATCHING_SET = string("label of the prompts and text that is forced, harmful or harmless, steer or base")
SRC = string("source of the edge - resid_steer, a12.h3 (head 3 of block 12), m12 (its MLP); all, for a group")
DST = string("destination of the edge - a12.h3<q>, <k>, <v> (of key-value heads), m12, lm_head")
SRC_KIND = string("resid_steer, attn_head, mlp")
DST_KIND = string("attn_q, attn_k, attn_v, mlp, lm_head")
SCORE = number(
    "EAP-IG estimate of the edge's indirect effect, logits a position; positive pushes towards the steered behaviour"
)
END = string("of an edge, out (source) or in (destination)")
NODE_KIND = string("kind of the node at that end")
EDGES = integer("number of edges")
METRIC = string("whose change is attributed")

CIRCUIT_RUN = {
    "kind": KIND,
    "circuit_method": CIRCUIT_METHOD,
    "metric": RANKED_BY,
    "half": integer("of the prompts that the circuit was found on; -1 is all"),
    "draw": DRAW,
    "nominal_edges": NOMINAL_EDGES,
    "n_edges": N_EDGES,
    "dataset": DATASET,
    "prompt_id": PROMPT_ID,
    "value": number("sum of logit differences over positions, under the circuit"),
    "base": number("the same in the base run"),
    "steer": number("the same in the steered run"),
    "n_positions": N_POSITIONS,
}  # a response under a circuit

ATTRIBUTION = Table(
    "attribution",
    {
        "method": METHOD,
        "patching_set": PATCHING_SET,
        "metric": METRIC,
        "prompt_id": PROMPT_ID,
        "half": integer("of the prompts, 0 or 1"),
        "n_tokens": integer("response positions"),
        "n_positions": integer(
            "response positions that are not masked: both runs predict different tokens there"
        ),
        "change": number("of the metric, steer - base, summed over positions"),
        "outgoing": number(
            "scores of the edges that leave resid_steer; equal to the change for an exact integral"
        ),
    },
)

RANKINGS = Table(
    "rankings",
    {
        "kind": string("how the scores are pooled - own, own_signed, by_metric, held_out, or a patching set"),
        "metric": RANKED_BY,
        "half": integer("of the prompts that the scores are of; -1 is all"),
        "place": integer("in the order in which circuits take edges up, from 1"),
        "edge": integer("number of the edge in its graph"),
        "score": number("mean over unmasked response positions, in the metric's unit"),
    },
)

CIRCUIT_RUNS = Table("circuit_runs", CIRCUIT_RUN)

FAITHFULNESS = Table(
    "faithfulness",
    {
        "vector_method": string("method whose vector steers"),
        "circuit_method": CIRCUIT_METHOD,
        "kind": KIND,
        "dataset": DATASET,
        "metric": RANKED_BY,
        "draw": DRAW,
        "nominal_edges": NOMINAL_EDGES,
        "n_edges": N_EDGES,
        "share_of_edges": number("of all edges of the graph"),
        "faithfulness": number(
            "share of the logit difference between steered and base run that the circuit carries: ratio of sums over all unmasked positions"
        ),
        "low": LOW,
        "high": HIGH,
        "mean_of_ratios": number("mean over responses of each one's faithfulness"),
        "n": integer("responses with an unmasked position"),
        "minimum": boolean("whether it is the smallest own circuit that is faithful"),
    },
)

COMPLETENESS = Table(
    "completeness",
    {
        "method": METHOD,
        "patching_set": PATCHING_SET,
        "metric": METRIC,
        "n": integer("responses"),
        "n_tokens": integer("response positions"),
        "n_positions": N_POSITIONS,
        "change": number("of the metric, steer - base, a position"),
        "outgoing": number("scores of the edges that leave the steered residual, a position"),
        "residual_percent": number("difference of the two, of the change"),
    },
)

EDGE_CENSUS = Table(
    "edge_census",
    {
        "end": END,
        "node_kind": NODE_KIND,
        "edges": EDGES,
    },
)

EDGE_SHARES = Table(
    "edge_shares",
    {
        "method": METHOD,
        "scope": string(
            "circuit (the minimum-faithful one), or top_edges (those of it with the largest scores)"
        ),
        "end": END,
        "node_kind": NODE_KIND,
        "edges": EDGES,
        "percent": number("share of the circuit's edges"),
    },
)

OVERLAP = Table(
    "overlap",
    {
        "method_a": METHOD_A,
        "method_b": METHOD_B,
        "n_edges_a": integer("edges of the first circuit"),
        "n_edges_b": integer("edges of the second circuit"),
        "overlap": number("shared edges, of the smaller circuit"),
        "chance": number("the same for random draws of those sizes"),
    },
)

TOP_EDGES = Table(
    "top_edges",
    {
        "method": METHOD,
        "rank": RANK,
        "src": SRC,
        "dst": DST,
        "dst_node": string(
            "node that the destination belongs to; of keys and values the first query head of their group"
        ),
        "src_kind": SRC_KIND,
        "dst_kind": DST_KIND,
        "score": SCORE,
        "in_circuit": boolean("whether the minimum-faithful circuit holds it"),
    },
)

INTERCHANGE = Table(
    "interchange",
    {
        "method": METHOD,
        "src": SRC,
        "dst": DST,
        "src_kind": SRC_KIND,
        "dst_kind": DST_KIND,
        "dataset": DATASET,
        "n": integer("responses"),
        "score": SCORE,
        "effect": number("exact indirect effect of the edge, logits a position"),
    },
)

INTERCHANGE_FIT = Table(
    "interchange_fit",
    {
        "method": METHOD,
        "dst_kind": string("attn_q, attn_k, attn_v, mlp, lm_head, or all"),
        "n": integer("edges"),
        "spearman": number("rank correlation of scores and exact effects"),
        "slope": number("of exact effects on scores, through the origin"),
    },
)

CIRCUIT_ASR = Table(
    "circuit_asr",
    {
        "method": METHOD,
        "condition": CONDITION,
        "dataset": DATASET,
        "carrier": string("what carries steering - none, circuit, complement, all"),
        "n_edges": N_EDGES,
        "n": N,
        "asr": ATTACK_SUCCESS,
        "asr_low": LOW,
        "asr_high": HIGH,
        "degenerate_rate": DEGENERATE_RATE,
    },
)
