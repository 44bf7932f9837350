"""What sparse vectors predict and act through: KL to the dense vector, its circuits, and what shared dimensions write."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from steering_study.attention.lens import Read, Vocabulary, token_table
from steering_study.circuits.circuit_runs import measure_circuits
from steering_study.circuits.faithfulness import size_grid
from steering_study.circuits.inputs import SteeredResponses, SteeringFiles, responses_of
from steering_study.circuits.paired_runs import SteeredModel
from steering_study.circuits.rankings import own_ranking, read_rankings
from steering_study.circuits.schemas import RANKINGS
from steering_study.circuits.variants import curve, label_runs
from steering_study.models.loading import read_model
from steering_study.sparsity.divergence import kl_to_dense
from steering_study.sparsity.effects import SHARED_BY, SparseInputs
from steering_study.sparsity.schemas import SHARED_TOKENS, SPARSE_KL, SPARSE_RUNS
from steering_study.sparsity.settings import settings_table
from steering_study.sparsity.sparsify import Grid, kept_at, plain_vectors, shared_vectors
from steering_study.store.artifacts import read_table, write_table
from steering_study.store.job import job
from steering_study.store.names import by_method
from steering_study.store.schema import Table

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    files: Mapping[str, SteeringFiles],
    *,
    rankings: Mapping[str, Path],
    words: Path,
    sparse: SparseInputs,
    datasets: Mapping[str, str],
    grid: Grid,
    shared_percents: Sequence[float],
    circuits: Mapping[str, Any],
    kl_prompts: int,
    top_tokens: int,
    step: int | None,
    sizes_percent: Sequence[float],
    batch_size: int | None,
    max_values: int,
    seed: int,
    tables: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write the tables `sparse_kl`, `sparse_runs` and `shared_tokens` of all methods.

    Args:
        files, rankings: by method.
    """
    model = read_model(next(iter(files.values())).card)
    limit = max(kl_prompts, circuits["responses"])
    by_table: dict[Table, list[pd.DataFrame]] = {SPARSE_KL: [], SPARSE_RUNS: [], SHARED_TOKENS: []}
    for method, of_method in tqdm(files.items(), unit="method", disable=None, leave=False):
        inputs = responses_of(model, of_method, datasets=datasets, limit=limit)
        vectors = plain_vectors(sparse.vectors[method], sparse.effects[method], grid, seed=seed)
        measured = {
            SPARSE_KL: divergences(
                inputs, vectors, sparse.vectors[method], n_prompts=kl_prompts, batch_size=batch_size
            ),
            SPARSE_RUNS: circuit_runs(
                inputs,
                rankings[method],
                sparse,
                method,
                percents=circuits["percents"],
                n_responses=circuits["responses"],
                step=step,
                sizes_percent=sizes_percent,
                batch_size=batch_size,
                max_values=max_values,
            ),
            SHARED_TOKENS: shared_tokens(inputs, sparse, method, shared_percents, words, top_tokens),
        }
        for table, frame in measured.items():
            by_table[table].append(frame.assign(method=method))
    for table, frames in by_table.items():
        write_table(tables[table.name], pd.concat(frames, ignore_index=True), table, provenance=provenance)


def divergences(
    inputs: SteeredResponses,
    sparse: Sequence[Any],
    dense: np.ndarray,
    *,
    n_prompts: int,
    batch_size: int | None,
) -> pd.DataFrame:
    """KL of every plain sparse vector on each response that the dense one wrote."""
    settings = settings_table(sparse).drop(
        columns=["dimensions", "factor_induce", "factor_bypass", "setting"]
    )
    vectors = torch.from_numpy(np.stack([setting.of(dense) for setting in sparse])).float()
    tables = []
    for of_set in inputs.steered_sets:
        some = of_set.head(n_prompts)
        (coefficient,) = some["coefficient"].unique()
        kl = kl_to_dense(
            inputs.model,
            *inputs.token_ids(some),
            coefficient * inputs.direction,
            coefficient * vectors,
            layer=inputs.layer,
            batch_size=batch_size,
        )
        tables += [
            settings.loc[[i] * len(some)]
            .reset_index(drop=True)
            .assign(
                dataset=some["dataset"].to_numpy(),
                prompt_id=some["prompt_id"].to_numpy(),
                kl_nats=values.tolist(),
            )
            for i, values in enumerate(kl)
        ]
    return pd.concat(tables, ignore_index=True)


def circuit_runs(
    inputs: SteeredResponses,
    rankings: Path,
    sparse: SparseInputs,
    method: str,
    *,
    percents: Sequence[float],
    n_responses: int,
    step: int | None,
    sizes_percent: Sequence[float],
    batch_size: int | None,
    max_values: int,
) -> pd.DataFrame:
    """Runs of the dense vector's own circuits with sparse vectors, on the same texts; 0 % is the dense one."""
    graph = inputs.graph
    ranking = own_ranking(read_rankings(read_table(rankings, RANKINGS)))
    sizes = size_grid(graph.n_edges, step=step, shares_percent=sizes_percent)
    circuits = curve(graph, ranking, method, sizes)
    masks = np.stack([circuit.mask for circuit in circuits])
    vector, effects = sparse.vectors[method], sparse.effects[method]
    runs = []
    for percent in (0.0, *percents):
        kept = torch.from_numpy(kept_at(SHARED_BY, vector, effects, percent))
        thinned = replace(inputs, direction=inputs.direction * kept)
        for of_set in thinned.steered_sets:
            some = of_set.head(n_responses)
            measured = measure_circuits(
                thinned.steered(some),
                *thinned.token_ids(some),
                masks,
                batch_size=batch_size,
                max_values=max_values,
            )
            runs.append(label_runs(circuits, measured, some).assign(target_percent=float(percent)))
    return pd.concat(runs, ignore_index=True)


def shared_tokens(
    inputs: SteeredResponses,
    sparse: SparseInputs,
    method: str,
    percents: Sequence[float],
    words: Path,
    n_tokens: int,
) -> pd.DataFrame:
    """Tokens that the dimensions all methods keep promote and suppress, and those of the rest."""
    masks = {percent: list(kept.values()) for percent, kept in sparse.masks(percents).items()}
    parts = shared_vectors(masks) if len(sparse.vectors) > 1 else []
    model = SteeredModel(inputs.model, inputs.layer, inputs.direction)
    reads = [
        Read(
            f"{each.criterion} {each.target_percent:g} %",
            -1,
            -1,
            torch.from_numpy(each.of(sparse.vectors[method])).float().to(inputs.model.device),
        )
        for each in parts
    ]
    vocabulary = Vocabulary.read(words, inputs.model.tokenizer, d_vocab=inputs.model.card.d_vocab)
    vector = Read("vector", -1, -1, inputs.direction.to(inputs.model.device))
    return token_table([vector, *reads], model.head, vocabulary, n_tokens=n_tokens)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        files, params = snakemake.input, snakemake.params
        paths = {
            name: by_method(params.methods, files[name])
            for name in ("vectors", "edge_scores", "attribution", "rankings")
        }
        main(
            SteeringFiles.of_methods(files, params.methods),
            rankings=paths["rankings"],
            words=Path(files.words),
            sparse=SparseInputs.read(paths["vectors"], paths["edge_scores"], paths["attribution"]),
            datasets=params.datasets,
            grid=Grid(params.percents, params.thresholds, params.draws),
            shared_percents=params.shared_percents,
            circuits=params.circuits,
            kl_prompts=params.kl_prompts,
            top_tokens=params.top_tokens,
            step=params.step,
            sizes_percent=params.sizes_percent,
            batch_size=params.batch_size,
            max_values=params.max_values,
            seed=params.seed,
            tables={name: Path(path) for name, path in snakemake.output.items()},
            provenance=provenance,
        )
