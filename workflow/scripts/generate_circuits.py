"""Text when only a method's minimum-faithful circuit carries steering, and when only its complement does."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from steering_study.artifacts import read_json, read_table, read_tensors, write_table
from steering_study.circuit_sets import curve, own_ranking, read_rankings
from steering_study.circuit_tables import minimum_size
from steering_study.generation import add_fluency, read_vector, response_table, steered_requests
from steering_study.graph import Graph
from steering_study.jobs import job
from steering_study.lockstep import generate_patched
from steering_study.models import read_model

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    vector: Path,
    vector_card: Path,
    coefficients: Path,
    rankings: Path,
    circuit_runs: Path,
    method: str,
    datasets: Mapping[str, str],
    limit: int | None,
    threshold: float,
    contexts: Mapping[str, str],
    max_new_tokens: int,
    batch_size: int | None,
    scored_batch_size: int | None,
    responses: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write one `responses` table for the circuit and one for its complement.

    Args:
        limit: most prompts of each test set, in the order of the table of prompts.
    """
    model = read_model(card)
    direction, layer = read_vector(read_tensors(vector)), read_json(vector_card)["layer"]
    frame = read_table(prompts, table="prompts")
    tested = frame[(frame["split"] == "test") & frame["source"].isin(list(datasets.values()))]
    chosen = tested.groupby("source", sort=False).head(limit or len(tested))
    doses = {condition: [value] for condition, value in read_json(coefficients).items()}
    requests = steered_requests(chosen, layers=[layer], coefficients=doses)

    graph = Graph.of(vars(model.card), layer=layer)
    size = minimum_size(read_table(circuit_runs, table="circuit_runs"), threshold=threshold)
    ranking = own_ranking(read_rankings(read_table(rankings, table="rankings")))
    circuit = curve(graph, ranking, method, [size])[0].mask
    for carrier, mask in {"circuit": circuit, "complement": graph.edge_mask & ~circuit}.items():
        parts = []
        for coefficient, rows in requests.groupby("coefficient", sort=False):
            found = generate_patched(
                model,
                model.render(list(rows["prompt"])),
                layer=layer,
                shift=float(coefficient) * direction,  # pyright: ignore[reportArgumentType]
                circuit=torch.from_numpy(mask).to(model.device),
                max_new_tokens=max_new_tokens,
                batch_size=batch_size,
                label=f"{model.card.name} {method} {carrier}",
            )
            parts.append(response_table(model, rows, found, method=method))
        table = add_fluency(model, pd.concat(parts), contexts=contexts, batch_size=scored_batch_size)
        write_table(responses[carrier], table, table="responses", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            vector=Path(snakemake.input.vector),
            vector_card=Path(snakemake.input.vector_card),
            coefficients=Path(snakemake.input.coefficients),
            rankings=Path(snakemake.input.rankings),
            circuit_runs=Path(snakemake.input.circuit_runs),
            method=snakemake.wildcards.method,
            datasets=snakemake.params.datasets,
            limit=snakemake.params.limit,
            threshold=snakemake.params.threshold,
            contexts=snakemake.params.contexts,
            max_new_tokens=snakemake.params.max_new_tokens,
            batch_size=snakemake.params.batch_size,
            scored_batch_size=snakemake.params.scored_batch_size,
            responses={name: Path(snakemake.output[name]) for name in ("circuit", "complement")},
            provenance=provenance,
        )
