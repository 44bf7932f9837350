"""The schema of every table: one observation a row, the same columns in the same order whoever wrote it."""

from __future__ import annotations

import pyarrow as pa

# Column types in Arrow's words. Nullable columns hold None where a value does not apply.
_CIRCUIT_RUN = {
    "kind": "string",
    "circuit_method": "string",
    "metric": "string",  # that ranked the edges
    "half": "int64",  # of the prompts that the circuit was found on; -1: all
    "draw": "int64",
    "nominal_edges": "int64",
    "n_edges": "int64",
    "dataset": "string",
    "prompt_id": "string",
    "value": "float64",  # sums of logit differences over positions: under the circuit,
    "base": "float64",
    "steer": "float64",
    "n_positions": "int64",
}  # a response under a circuit

_SPARSE_VECTOR = {
    "criterion": "string",  # gradient, indirect_effect, bottom_k, dropout; none: dense; shared, unshared: over methods
    "variant": "string",  # plain, rescaled, retuned
    "draw": "int64",
    "threshold": "float64",  # of |gradient|; NaN on the grid of percents
    "target_percent": "float64",  # NaN on the grid of thresholds
    "sparsity_percent": "float64",
    "n_kept": "int64",
}  # a vector with dimensions set to zero

TABLES: dict[str, dict[str, str]] = {
    "prompts": {
        "id": "string",
        "split": "string",  # train, validation, test, augmentation
        "label": "string",  # harmful, harmless
        "source": "string",  # the set it came from; for test prompts the name of the dataset
        "concept": "string",  # what the labels are about: refusal
        "text": "string",
    },
    "responses": {
        "prompt_id": "string",
        "dataset": "string",
        "split": "string",
        "label": "string",
        "method": "string",
        "condition": "string",  # base, induce, bypass
        "layer": "int64",  # -1 where nothing is steered
        "coefficient": "float64",
        "setting": "int64",  # row of the run's table of settings; 0 where a run has one alone
        "prompt": "string",
        "text": "string",
        "token_ids": "list<int64>",
        "logprobs": "list<float64>",  # of each greedy token, under the run that produced it
        "finished": "bool",  # ended by the model's own end-of-turn token
        "logprob_refused": "float64",  # mean nats a token, unsteered, in a prompt where a refusal is normal
        "logprob_complied": "float64",  # the same where an answer is normal
    },
    "verdicts": {
        "prompt_id": "string",
        "dataset": "string",
        "split": "string",
        "label": "string",
        "method": "string",
        "condition": "string",
        "layer": "int64",
        "coefficient": "float64",
        "setting": "int64",
        "judge": "string",
        "refused": "bool",
        "score": "float64",
        "looping": "bool",
        "logprob_mean": "float64",  # nats per token under the unsteered model, in the normal context
        "logprob_floor": "float64",  # below it a text counts as unreadable
        "degenerate": "bool",
        "verdict": "string",  # degenerate, else refused or complied
    },
    "labelled_texts": {
        "text_id": "string",
        "source": "string",  # corpus: that of the bundled models; else the name of the user's file
        "label": "string",  # of the prompt: harmful, harmless; empty where the file does not say
        "opening": "string",  # plain; turned: begins as the other kind and takes it back; empty: not known
        "prompt": "string",
        "text": "string",
        "truth": "string",  # refused, complied
    },
    "labelled_verdicts": {
        "text_id": "string",
        "judge": "string",
        "refused": "bool",
        "score": "float64",
    },
    "judge_errors": {
        "judge": "string",
        "source": "string",
        "label": "string",  # of the prompts: harmful, harmless, all
        "opening": "string",
        "truth": "string",
        "n": "int64",  # texts of that truth
        "n_refused": "int64",  # of them, judged refused
        "refused_rate": "float64",
        "refused_low": "float64",
        "refused_high": "float64",
        "error_rate": "float64",  # judged otherwise than labelled: missed refusals, or false ones
        "error_low": "float64",
        "error_high": "float64",
    },
    "asr": {
        "model": "string",
        "method": "string",
        "condition": "string",
        "dataset": "string",
        "coefficient": "float64",
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "degenerate_rate": "float64",
        "judge": "string",
    },
    "bystanders": {
        "model": "string",
        "method": "string",
        "condition": "string",
        "dataset": "string",
        "coefficient": "float64",
        "n": "int64",
        "refused_rate": "float64",
        "refused_low": "float64",
        "refused_high": "float64",
        "base_refused_rate": "float64",
        "looping_rate": "float64",
        "base_looping_rate": "float64",
        "degenerate_rate": "float64",
        "base_degenerate_rate": "float64",
    },
    "flips": {
        "model": "string",
        "method": "string",
        "condition": "string",
        "dataset": "string",
        "coefficient": "float64",
        "n": "int64",
        "flip_rate": "float64",
        "flip_low": "float64",
        "flip_high": "float64",
        "degenerate_rate": "float64",
    },
    "candidates": {
        "layer": "int64",
        "position": "int64",  # negative: counted from the end of the prompt
        "bypass": "float64",
        "induce": "float64",
        "kl": "float64",
        "ablation": "float64",  # refusal metric on harmful prompts with the direction ablated
        "kept": "bool",
        "reason": "string",
        "selected": "bool",
    },
    "dose_response": {
        "model": "string",
        "method": "string",
        "layer": "int64",
        "condition": "string",
        "coefficient": "float64",
        "n": "int64",
        "flip_rate": "float64",
        "flip_low": "float64",
        "flip_high": "float64",
        "asr": "float64",
        "degenerate_rate": "float64",
        "selected": "bool",
    },
    "side_effects": {
        "model": "string",
        "method": "string",
        "layer": "int64",
        "condition": "string",
        "coefficient": "float64",
        "n": "int64",
        "flip_rate": "float64",
        "flip_low": "float64",
        "flip_high": "float64",
        "asr": "float64",
        "degenerate_rate": "float64",
        "selected": "bool",  # the method's own coefficient
        "matched": "bool",  # the least that flips the share at which methods are compared
        "n_bystanders": "int64",  # prompts that the condition should leave alone
        "kl_nats": "float64",  # a token of their unsteered responses
        "kl_low": "float64",
        "kl_high": "float64",
        "perplexity": "float64",  # of those responses under steering
        "perplexity_low": "float64",
        "perplexity_high": "float64",
        "base_perplexity": "float64",
    },
    "layers": {
        "model": "string",
        "method": "string",
        "layer": "int64",
        "condition": "string",
        "coefficient": "float64",
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "flip_rate": "float64",
        "flip_low": "float64",
        "flip_high": "float64",
        "degenerate_rate": "float64",
    },
    "windows": {
        "model": "string",
        "method": "string",
        "layer": "int64",
        "condition": "string",
        "n": "int64",  # validation prompts a coefficient
        "best_flip_rate": "float64",
        "lowest": "float64",  # coefficient, by its size, at which steering flips enough and garbles little; NaN: none
        "highest": "float64",
        "factor": "float64",  # highest over lowest
    },
    "quality": {
        "model": "string",
        "measure": "string",
        "method": "string",
        "condition": "string",
        "dataset": "string",
        "split": "string",
        "layer": "int64",  # -1 where it does not apply
        "ablation": "string",
        "n": "int64",
        "value": "float64",
        "low": "float64",
        "high": "float64",
        "at_least": "float64",  # target of the bundled models; NaN: none
        "at_most": "float64",
        "met": "string",  # yes, no; empty: no target
    },
    "pairs": {
        "prompt_id": "string",
        "split": "string",
        "label": "string",
        "origin": "string",  # of the desired response: asked for in the prompt, or steered by DIM
        "sign": "float64",  # of the coefficient that should bring the desired response about
        "prompt": "string",
        "desired": "string",
        "undesired": "string",
        "desired_ids": "list<int64>",
        "undesired_ids": "list<int64>",
        "reason": "string",  # why the pair is not kept
        "kept": "bool",
    },
    "trials": {
        "method": "string",
        "layer": "int64",
        "trial": "int64",
        "learning_rate": "float64",
        "batch_size": "int64",
        "epochs": "int64",
        "seed": "int64",
        "phi": "float64",  # NaN for methods without it
        "n_pairs": "int64",
        "validation_loss": "float64",  # nats, after the last epoch
        "match_score": "float64",  # share of validation response tokens that steering predicts
        "norm": "float64",
        "beta_q10": "float64",  # quantiles of PO's beta over the training pairs; NaN for other methods
        "beta_q50": "float64",
        "beta_q90": "float64",
        "selected": "bool",
    },
    "training": {
        "method": "string",
        "layer": "int64",
        "trial": "int64",
        "epoch": "int64",  # 0: before the first step
        "loss": "float64",  # nats, mean over the epoch's pairs
        "validation_loss": "float64",
        "norm": "float64",
    },
    "cosine": {"method_a": "string", "method_b": "string", "cosine": "float64"},
    "attribution": {
        "method": "string",
        "patching_set": "string",  # harmful_steer, harmful_base, harmless_steer, harmless_base
        "metric": "string",
        "prompt_id": "string",
        "half": "int64",
        "n_tokens": "int64",  # response positions
        "n_positions": "int64",  # those that are not masked
        "change": "float64",  # of the metric, steer - base, summed over positions
        "outgoing": "float64",  # scores of the edges that leave resid_steer; equal to `change` for an exact integral
    },
    "rankings": {
        "kind": "string",
        "metric": "string",
        "half": "int64",  # of the prompts that the scores are of; -1: all
        "place": "int64",  # in the order in which circuits take edges up, from 1
        "edge": "int64",  # number of the edge (graph.Graph.edges)
        "score": "float64",  # mean over unmasked response positions, in the metric's unit
    },
    "circuit_runs": _CIRCUIT_RUN,
    "faithfulness": {
        "vector_method": "string",
        "circuit_method": "string",
        "kind": "string",
        "dataset": "string",
        "metric": "string",
        "draw": "int64",
        "nominal_edges": "int64",
        "n_edges": "int64",
        "share_of_edges": "float64",
        "faithfulness": "float64",  # ratio of sums over all unmasked positions
        "low": "float64",
        "high": "float64",
        "mean_of_ratios": "float64",  # over responses
        "n": "int64",  # responses
        "minimum": "bool",  # the minimum-faithful size of the vector's own circuit
    },
    "completeness": {
        "method": "string",
        "patching_set": "string",
        "metric": "string",
        "n": "int64",  # responses
        "n_tokens": "int64",
        "n_positions": "int64",
        "change": "float64",  # of the metric a position
        "outgoing": "float64",  # scores of the edges that leave resid_steer, a position
        "residual_percent": "float64",  # |outgoing - change| / |change|
    },
    "edge_census": {"end": "string", "node_kind": "string", "edges": "int64"},
    "edge_shares": {
        "method": "string",
        "scope": "string",  # circuit: the minimum-faithful one; top_edges: those of it with the largest scores
        "end": "string",
        "node_kind": "string",
        "edges": "int64",
        "percent": "float64",
    },
    "overlap": {
        "method_a": "string",
        "method_b": "string",
        "n_edges_a": "int64",
        "n_edges_b": "int64",
        "overlap": "float64",
        "chance": "float64",
    },
    "top_edges": {
        "method": "string",
        "rank": "int64",
        "src": "string",
        "dst": "string",
        "dst_node": "string",  # of keys and values: the first query head of their group
        "src_kind": "string",
        "dst_kind": "string",
        "score": "float64",  # logits a position
        "in_circuit": "bool",  # the minimum-faithful one
    },
    "interchange": {
        "method": "string",
        "src": "string",  # `all` for a group: every edge into a kind
        "dst": "string",
        "src_kind": "string",
        "dst_kind": "string",
        "dataset": "string",
        "n": "int64",  # responses
        "score": "float64",  # logits a position
        "effect": "float64",  # exact, logits a position
    },
    "interchange_fit": {
        "method": "string",
        "dst_kind": "string",  # or `all`
        "n": "int64",  # edges
        "spearman": "float64",
        "slope": "float64",  # of effect on score, through the origin
    },
    "circuit_asr": {
        "method": "string",
        "condition": "string",
        "dataset": "string",
        "carrier": "string",  # of steering: none, circuit, complement, all
        "n_edges": "int64",
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "degenerate_rate": "float64",
    },
    "frozen_settings": {
        "setting": "int64",
        "scope": "string",  # positions that the vector is added at: all, prompt, response
        "ablation": "string",
    },
    "ablations": {
        "method": "string",
        "scope": "string",
        "ablation": "string",
        "dataset": "string",
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "change_points": "float64",  # of ASR against none at the same scope; positive: steering weakened
        "degenerate_rate": "float64",
        "condition": "string",
        "change_low": "float64",
        "change_high": "float64",
        "p_value": "float64",  # McNemar, exact
    },
    "ablation_means": {
        "method": "string",
        "scope": "string",
        "ablation": "string",
        "n_cells": "int64",  # models x main test sets
        "n": "int64",  # texts of all cells
        "change_points": "float64",  # mean of the cells'
        "change_low": "float64",
        "change_high": "float64",
        "degenerate_points": "float64",  # mean change of the degenerate share
    },
    "nodes": {
        "method": "string",
        "node": "string",  # a5.h1; a5, the attention of a block as a whole; m5
        "kind": "string",  # attn_head, attn, mlp
        "block": "int64",
        "head": "int64",  # -1 but for heads
        "ie": "float64",  # indirect effect of the node, logits a position
        "ie_direct": "float64",  # of its edge to the LM head alone
        "norm_share": "float64",  # of its change, explained by the vector's direct term
        "cosine": "float64",
        "moved": "float64",  # total variation of a head's attention weights
        "n_positions": "int64",
    },
    "svv_tokens": {
        "method": "string",
        "source": "string",  # vector, a5.h1, sum
        "rank": "int64",
        "token": "string",
        "logit": "float64",
        "sign": "int64",  # 1: the tokens that it promotes; -1: those that it suppresses
        "token_id": "int64",
        "in_words": "bool",  # one of the concept words
    },
    "svv_concepts": {
        "method": "string",
        "source": "string",
        "block": "int64",  # -1 but for heads
        "head": "int64",
        "sign": "int64",  # 1: top tokens; -1: top tokens of its negative
        "ie": "float64",
        "n_tokens": "int64",
        "n_words": "int64",  # of them in the word list
        "concept_score": "float64",
        "chance": "float64",
        "p_value": "float64",  # hypergeometric tail
        "cosine": "float64",  # with the vector
        "norm": "float64",
    },
    "neurons": {
        "method": "string",
        "block": "int64",
        "neuron": "int64",
        "rank": "int64",  # by |ie|, in the whole model
        "ie": "float64",  # logits a position
        "share": "float64",  # of the sum of |ie| over all neurons of the model
        "promotes": "list<string>",
        "suppresses": "list<string>",
        "n_positions": "int64",
    },
    "attention_maps": {
        "method": "string",
        "prompt_id": "string",
        "label": "string",
        "node": "string",
        "run": "string",  # base, steer
        "query": "int64",
        "key": "int64",
        "query_token": "string",
        "key_token": "string",
        "weight": "float64",
    },
    "sparse_settings": {
        "setting": "int64",
        **_SPARSE_VECTOR,
        "factor_induce": "float64",  # multiple of the coefficient
        "factor_bypass": "float64",
        "dimensions": "list<int64>",  # that are kept
    },
    "sparse_kl": {
        "method": "string",
        **_SPARSE_VECTOR,
        "dataset": "string",
        "prompt_id": "string",
        "kl_nats": "float64",  # KL(dense || sparse), mean over response positions
    },
    "sparse_runs": {
        "method": "string",
        "target_percent": "float64",  # of the vector, by the gradient; 0: dense
        **_CIRCUIT_RUN,
    },
    "shared_tokens": {
        "method": "string",
        "source": "string",  # vector; shared 50 %, the dimensions that all methods keep; unshared 50 %, all others
        "rank": "int64",
        "token": "string",
        "logit": "float64",
        "sign": "int64",
        "token_id": "int64",
        "in_words": "bool",
    },
    "sparsity": {
        "method": "string",
        **_SPARSE_VECTOR,
        "condition": "string",
        "dataset": "string",
        "factor": "float64",  # multiple of the coefficient
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "degenerate_rate": "float64",
        "flip_rate": "float64",
        "flip_low": "float64",
        "flip_high": "float64",
    },
    "retention": {
        "method": "string",
        "criterion": "string",
        "dataset": "string",  # or main sets: the mean over them
        "n": "int64",
        "dense_effect": "float64",  # success of the dense vector less that of none
        "area": "float64",  # mean share of it that is kept, over sparsities from 0 to the largest
        "area_low": "float64",
        "area_high": "float64",
        "retained": "float64",  # share of the dense effect that counts as kept
        "largest_percent": "float64",  # sparsity up to which it is
        "largest_low": "float64",
        "largest_high": "float64",
    },
    "sparsity_kl": {
        "method": "string",
        "criterion": "string",
        "threshold": "float64",  # of |gradient|; NaN on the grid of percents
        "target_percent": "float64",  # NaN on the grid of thresholds
        "sparsity_percent": "float64",
        "n_kept": "int64",
        "dataset": "string",
        "n": "int64",
        "kl_nats": "float64",
        "kl_low": "float64",
        "kl_high": "float64",
    },
    "sparse_faithfulness": {
        "method": "string",
        "target_percent": "float64",
        "nominal_edges": "int64",
        "n_edges": "int64",
        "dataset": "string",
        "faithfulness": "float64",
        "low": "float64",
        "high": "float64",
        "gap": "float64",  # logit difference that the sparse vector makes, a position
        "n": "int64",
    },
    "iou": {
        "method_a": "string",
        "method_b": "string",
        "criterion": "string",
        "threshold": "float64",
        "target_percent": "float64",
        "sparsity_percent": "float64",  # mean of the pair's
        "n_a": "int64",
        "n_b": "int64",
        "n_shared": "int64",
        "iou": "float64",
        "chance": "float64",
        "p_value": "float64",  # hypergeometric tail
        "p_adjusted": "float64",  # Holm, over the table
    },
    "shared_dimensions": {
        "target_percent": "float64",
        "n_methods": "int64",
        "n_kept": "int64",  # by each
        "n_shared": "int64",
        "chance": "float64",  # expected of random sets
        "p_value": "float64",
        "dimensions": "list<int64>",
    },
    "claims": {
        "claim": "string",  # id in resources/paper/claims.csv; empty: a measurement that another claim is compared with
        "measure": "string",  # empty where nothing is measured
        "criterion": "string",
        "part": "string",  # method, or methods: dim & ntp; empty: the claim as a whole
        "value": "float64",  # in the claim's unit
        "low": "float64",  # NaN: counted, without an interval
        "high": "float64",
        "n": "int64",  # what it rests on: texts, responses, edges, heads
        "chance": "float64",
        "p_value": "float64",
        "verdict": "string",  # holds, holds in part, does not hold, not tested here, no verdict
        "note": "string",  # why there is none
        "tables": "list<string>",  # that the number comes from
        "rules": "list<string>",  # that made them
    },
    "claim_means": {
        "claim": "string",
        "n_models": "int64",  # in which it was measured
        "n": "int64",
        "value": "float64",  # mean over them
        "low": "float64",
        "high": "float64",
        "verdict": "string",  # what all models say, else holds in part
        "note": "string",
    },
}

_ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "list<string>": pa.list_(pa.string()),
    "list<int64>": pa.list_(pa.int64()),
    "list<float64>": pa.list_(pa.float64()),
}


def table_schema(table: str) -> pa.Schema:
    """Arrow schema of a named table."""
    if table not in TABLES:
        raise ValueError(f"table={table!r} is unknown; expected one of {', '.join(TABLES)}")
    return pa.schema([(column, _ARROW[kind]) for column, kind in TABLES[table].items()])
