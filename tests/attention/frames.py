"""Made-up verdicts under ablations and tables of nodes and tokens, for tests of frames, figures and the page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steering_study.attention.tables import (
    average_ablations,
    settings_table,
    summarise_ablations,
    with_settings,
)

LAYER, N_LAYERS, N_HEADS = 2, 4, 4
ABLATIONS = {
    "all": ["none", "qk", "ov", "mlp"],
    "prompt": ["none", "qk", "ov"],
    "response": ["none", "qk", "ov@a3.h1"],
}
SETTINGS = settings_table(ABLATIONS)
CONDITIONS = {"harmful": "bypass", "ood": "bypass", "harmless": "induce"}
MEASURED = {"confidence": 0.95, "seed": 0}


def frozen_verdicts(rows: pd.DataFrame, method: str, rng: np.random.Generator) -> pd.DataFrame:
    """Answers to a few prompts in every setting; values frozen undo steering most of the time.

    Args:
        rows: steered answers with all columns of responses and verdicts.
    """
    parts = []
    for setting, _, ablation in SETTINGS.itertuples(index=False):
        undone = rng.random(len(rows)) < (0.8 if ablation.startswith("ov") else 0.1)
        refused = np.where(undone, ~rows["refused"], rows["refused"])
        verdict = np.where(refused, "refused", "complied")
        parts.append(rows.assign(setting=setting, method=method, refused=refused, verdict=verdict))
    return pd.concat(parts, ignore_index=True)


def ablation_summaries(verdicts: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """The `ablations` table of each model, and the `ablation_means` table."""
    named = {model: with_settings(rows, SETTINGS) for model, rows in verdicts.items()}
    tables = {model: summarise_ablations(rows, **MEASURED) for model, rows in named.items()}
    return tables, average_ablations(named, datasets=["harmful", "harmless"], **MEASURED)


def decompositions(methods: tuple[str, ...], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The tables of `decompose_ov`, all methods together."""
    found: dict[str, list[pd.DataFrame]] = {}
    for method in methods:
        for name, table in _decomposition(rng).items():
            found.setdefault(name, []).append(table.assign(method=method))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def _decomposition(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    nodes, concepts, tokens, neurons, maps = [], [], [], [], []
    sources = [("vector", -1, -1), ("sum", -1, -1)]
    for block in range(LAYER, N_LAYERS):
        for head in range(N_HEADS):
            sources.append((f"a{block}.h{head}", block, head))
            nodes.append((f"a{block}.h{head}", "attn_head", block, head, float(rng.random())))
        nodes += [(f"a{block}", "attn", block, -1, np.nan), (f"m{block}", "mlp", block, -1, np.nan)]
        neurons.append((block, block - LAYER + 1, [" sorry", "\n"], ["Sure"]))
    for source, block, head in sources:
        ie = float(rng.normal())
        for sign in (1, -1):
            concepts.append((source, block, head, sign, ie))
            tokens += [
                (source, sign, rank, f" word{rank}", rank, 5.0 - rank, rank < 3) for rank in (1, 2, 3, 4)
            ]
    for label in ("harmful", "harmless"):
        for run in ("base", "steer"):
            for query in (3, 4):
                weights = rng.dirichlet(np.ones(query + 1))
                maps += [
                    (f"{label}-001", label, run, query, key, "\n" if key == 0 else f" k{key}", float(weight))
                    for key, weight in enumerate(weights)
                ]
    node_table = pd.DataFrame(nodes, columns=["node", "kind", "block", "head", "moved"]).assign(
        ie=rng.normal(size=len(nodes)), ie_direct=0.1, norm_share=0.9, cosine=0.8, n_positions=40
    )
    concept_table = pd.DataFrame(concepts, columns=["source", "block", "head", "sign", "ie"])
    concept_table = concept_table.assign(n_tokens=4, n_words=2, concept_score=0.5, chance=0.03)
    token_columns = ["source", "sign", "rank", "token", "token_id", "logit", "in_words"]
    neuron_columns = ["block", "rank", "promotes", "suppresses"]
    map_columns = ["prompt_id", "label", "run", "query", "key", "key_token", "weight"]
    map_table = pd.DataFrame(maps, columns=map_columns)
    return {
        "nodes": node_table,
        "svv_concepts": concept_table.assign(p_value=0.001, cosine=0.1, norm=1.0),
        "svv_tokens": pd.DataFrame(tokens, columns=token_columns),
        "neurons": pd.DataFrame(neurons, columns=neuron_columns).assign(
            neuron=7, ie=0.2, share=0.1, n_positions=40
        ),
        "attention_maps": map_table.assign(node="a3.h1", query_token=" q" + map_table["query"].astype(str)),
    }
