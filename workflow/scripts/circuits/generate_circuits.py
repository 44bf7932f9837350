"""Text when only a method's minimum-faithful circuit carries steering, and when only its complement does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool

from steering_study.circuits.faithfulness import minimum_size
from steering_study.circuits.graph import Graph
from steering_study.circuits.rankings import own_ranking, read_rankings
from steering_study.circuits.schemas import CIRCUIT_RUNS, RANKINGS
from steering_study.circuits.text import generate_patched
from steering_study.circuits.variants import curve
from steering_study.models.loading import read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_json, read_table, write_table
from steering_study.store.job import job
from steering_study.store.names import by_method
from steering_study.texts.options import Decoding
from steering_study.texts.responses import add_likelihoods, response_table, steered_requests
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.files import chosen_coefficients, read_vector

if TYPE_CHECKING:
    snakemake: Any = None


@dataclass(frozen=True)
class CircuitFiles:
    """What a method's minimum-faithful circuit is read from, and where its texts go."""

    vector: Path
    vector_card: Path
    coefficients: Path
    rankings: Path
    circuit_runs: Path
    circuit: Path
    complement: Path


def main(
    files: Mapping[str, CircuitFiles],
    *,
    prompts: Path,
    card: Path,
    datasets: Mapping[str, str],
    limit: int | None,
    threshold: float,
    decoding: Decoding,
    provenance: Mapping[str, Any],
) -> None:
    """Write a `responses` table for the circuit of each method and one for its complement.

    Args:
        files: by method.
        limit: most prompts of each test set, in the order of the table of prompts.
    """
    model = read_model(card)
    frame = read_table(prompts, PROMPTS)
    tested = frame[(frame["split"] == "test") & frame["source"].isin(list(datasets.values()))]
    selected_prompts = tested.groupby("source", sort=False).head(limit or len(tested))
    for method, own in files.items():
        direction, layer = read_vector(own.vector), read_json(own.vector_card)["layer"]
        requests = steered_requests(
            selected_prompts, layers=[layer], coefficients=chosen_coefficients(own.coefficients)
        )
        graph = Graph.of(vars(model.card), layer=layer)
        circuit = minimum_circuit(graph, own, method, threshold=threshold)
        for carrier, mask in {own.circuit: circuit, own.complement: graph.edge_mask & ~circuit}.items():
            tables = []
            for coefficient, asked in requests.groupby("coefficient", sort=False):
                generated = generate_patched(
                    model,
                    model.render(list(asked["prompt"])),
                    layer=layer,
                    shift=float(coefficient) * direction,  # pyright: ignore[reportArgumentType]
                    circuit=torch.from_numpy(mask).to(model.device),
                    max_new_tokens=decoding.max_new_tokens,
                    batch_size=decoding.batch_size,
                    label=f"{model.card.name} {method} {carrier.parent.name}",
                )
                tables.append(response_table(model, asked, generated, method=method))
            table = add_likelihoods(model, pd.concat(tables), batch_size=decoding.scored_batch_size)
            write_table(carrier, table, RESPONSES, provenance=provenance)


def minimum_circuit(
    graph: Graph, files: CircuitFiles, method: str, *, threshold: float
) -> Bool[np.ndarray, "reader source"]:
    """Edges of the smallest circuit that is faithful enough, by the method's own ranking."""
    size = minimum_size(read_table(files.circuit_runs, CIRCUIT_RUNS), threshold=threshold)
    ranking = own_ranking(read_rankings(read_table(files.rankings, RANKINGS)))
    return curve(graph, ranking, method, [size])[0].mask


if "snakemake" in globals():
    with job(snakemake) as provenance:
        params = snakemake.params
        paths = {
            "vector": snakemake.input.vectors,
            "vector_card": snakemake.input.vector_cards,
            "coefficients": snakemake.input.coefficients,
            "rankings": snakemake.input.rankings,
            "circuit_runs": snakemake.input.circuit_runs,
            "circuit": snakemake.output.circuit,
            "complement": snakemake.output.complement,
        }
        own = {name: by_method(params.methods, files) for name, files in paths.items()}
        main(
            {
                method: CircuitFiles(**{name: files[method] for name, files in own.items()})
                for method in params.methods
            },
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            datasets=params.datasets,
            limit=params.limit,
            threshold=params.threshold,
            decoding=Decoding(**params.decoding),
            provenance=provenance,
        )
