"""Steering value vectors of every head, what they explain and write, the MLPs' neurons, and how far attention moves."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from steering_study.attention.decomposition import attention_maps, measure_blocks, node_table
from steering_study.attention.lens import (
    Vocabulary,
    concept_table,
    directions_to_read,
    neuron_table,
    token_table,
)
from steering_study.attention.neurons import neuron_scores
from steering_study.attention.schemas import ATTENTION_MAPS, NEURONS, NODES, SVV_CONCEPTS, SVV_TOKENS
from steering_study.circuits.attribution import quadrature
from steering_study.circuits.inputs import SteeredResponses, SteeringFiles, read_steered_responses
from steering_study.circuits.paired_runs import SteeredModel, forced_runs
from steering_study.circuits.rankings import MAIN_METRIC, own_ranking, read_rankings
from steering_study.circuits.schemas import RANKINGS
from steering_study.store.artifacts import read_table, write_table, write_tensors
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    files: SteeringFiles,
    *,
    rankings: Path,
    words: Path,
    method: str,
    datasets: Mapping[str, str],
    limit: int | None,
    rule: str,
    steps: int,
    budget: Mapping[str, int],
    top_heads: int,
    top_tokens: int,
    neurons: Mapping[str, int],
    maps: Mapping[str, int],
    vectors: Path,
    tables: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write the tables `nodes`, `svv_tokens`, `svv_concepts`, `neurons`, `attention_maps`, and the vectors read.

    Args:
        budget: tokens of a backward pass, and numbers held at once.
        top_heads: heads, by |indirect effect|, whose tokens are listed.
    """
    inputs = read_steered_responses(files, datasets=datasets, limit=limit)
    model = SteeredModel(inputs.model, inputs.layer, inputs.direction)
    effects = node_effects(model, rankings)
    vocabulary = Vocabulary.read(words, inputs.model.tokenizer, d_vocab=inputs.model.card.d_vocab)

    reads = directions_to_read(model.blocks, inputs.direction.to(inputs.model.device), layer=inputs.layer)
    tokens = token_table(reads, model.head, vocabulary, n_tokens=top_tokens)
    heads = effects[effects["node"].str.contains(".h", regex=False)]
    ranked = list(heads.loc[heads["ie"].abs().sort_values(ascending=False).index, "node"])
    listed = tokens["source"].isin(["vector", *ranked[:top_heads], "sum"])
    by_name = dict(zip(effects["node"], effects["ie"], strict=True))
    frames = {
        NODES: measured_nodes(inputs, budget["max_values"]).merge(effects, on="node", how="left"),
        SVV_TOKENS: tokens[listed],
        SVV_CONCEPTS: concept_table(reads, tokens, vocabulary, effects=by_name),
        NEURONS: scored_neurons(inputs, vocabulary, rule, steps, budget["tokens_per_pass"], neurons),
        ATTENTION_MAPS: drawn_attention(inputs, ranked[: maps["heads"]], maps["positions"]),
    }
    for table, frame in frames.items():
        write_table(tables[table.name], frame.assign(method=method), table, provenance=provenance)
    write_tensors(vectors, {read.source: read.vector.cpu() for read in reads}, provenance=provenance)


def node_effects(model: SteeredModel, rankings: Path) -> pd.DataFrame:
    """Indirect effect of each node, that of its edge to the LM head alone, and their sums over the heads of each block.

    The gradient at a node's output is that at all inputs that read it, so a node's score is the sum of its edges'.
    """
    graph = model.graph
    scores = graph.unpack(own_ranking(read_rankings(read_table(rankings, RANKINGS))).scores)
    effects, direct = scores.sum(1), scores[:, graph.lm_head]
    rows = list(zip(graph.src_names, effects, direct, strict=True))
    for block in range(graph.n_blocks):
        heads = graph.heads_src(block)
        rows.append((f"a{graph.layer + block}", effects[heads].sum(), direct[heads].sum()))
    return pd.DataFrame(rows, columns=["node", "ie", "ie_direct"])


def measured_nodes(inputs: SteeredResponses, max_values: int) -> pd.DataFrame:
    """How much of each node's change the vector's direct term explains, on the steered responses of both sets."""
    card, totals = inputs.model.card, []
    for rows in inputs.steered_sets:
        prompts, responses = inputs.token_ids(rows)
        width = max(map(len, responses)) * card.n_heads * card.d_model
        steered = inputs.steered(rows)
        found = measure_blocks(steered, prompts, responses, batch_size=max(1, max_values // width))
        totals = [a + b for a, b in zip(totals, found, strict=True)] if totals else found
    return node_table(inputs.layer, totals)


def scored_neurons(
    inputs: SteeredResponses,
    vocabulary: Vocabulary,
    rule: str,
    steps: int,
    tokens_per_pass: int,
    neurons: Mapping[str, int],
) -> pd.DataFrame:
    """Neurons with the largest indirect effects, over the patching sets."""
    scores, n_positions = torch.zeros(()), 0
    for rows in inputs.sets.values():
        prompts, responses = inputs.token_ids(rows.head(neurons["responses"]))
        longest = max(len(p) + len(r) for p, r in zip(prompts, responses, strict=True))
        steered = inputs.steered(rows)
        for runs in forced_runs(steered, prompts, responses, batch_size=max(1, tokens_per_pass // longest)):
            found = neuron_scores(steered, runs, metric=MAIN_METRIC, rule=quadrature(rule, steps))
            scores = scores + found.sum(0).cpu()
            n_positions += int(runs.metrics(steered.head, [MAIN_METRIC])[MAIN_METRIC].mask.sum())
    return neuron_table(
        scores.to(steered.head.W_U.device),
        steered.blocks,
        steered.head,
        vocabulary,
        layer=inputs.layer,
        n_positions=n_positions,
        n_neurons=neurons["shown"],
        n_tokens=neurons["tokens"],
    )


def drawn_attention(inputs: SteeredResponses, heads: list[str], n_positions: int) -> pd.DataFrame:
    """Attention of the top heads on the first flipped prompt of each label, without and with steering."""
    parts = []
    for rows in inputs.steered_sets:
        row = rows.head(1)
        (prompt,), (response,) = inputs.token_ids(row)
        maps = attention_maps(inputs.steered(row), prompt, response, heads=heads, n_queries=n_positions)
        table = pd.DataFrame(maps).assign(prompt_id=row["prompt_id"].iloc[0], label=row["label"].iloc[0])
        texts = np.array([inputs.model.tokenizer.decode([i]) for i in (*prompt, *response)], dtype=object)
        parts.append(table.assign(query_token=texts[table["query"]], key_token=texts[table["key"]]))
    return pd.concat(parts, ignore_index=True)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            SteeringFiles.of(snakemake.input),
            rankings=Path(snakemake.input.rankings),
            words=Path(snakemake.input.words),
            method=snakemake.wildcards.method,
            datasets=snakemake.params.datasets,
            limit=snakemake.params.limit,
            rule=snakemake.params.rule,
            steps=snakemake.params.steps,
            budget=snakemake.params.budget,
            top_heads=snakemake.params.top_heads,
            top_tokens=snakemake.params.top_tokens,
            neurons=snakemake.params.neurons,
            maps=snakemake.params.maps,
            vectors=Path(snakemake.output.vectors),
            tables={name: Path(path) for name, path in snakemake.output.items() if name != "vectors"},
            provenance=provenance,
        )
