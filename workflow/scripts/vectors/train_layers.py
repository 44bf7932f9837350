"""A learned vector at every layer of the sweep over depth, by the trial that the search selected."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from steering_study.models.loading import read_model
from steering_study.store.artifacts import read_json, read_table, read_tensors, write_tensors
from steering_study.store.job import job
from steering_study.vectors.files import read_vector
from steering_study.vectors.learned import (
    Trial,
    force_pairs,
    pairs_of,
    responses_per_pass,
    train_trials,
    trials_of,
)
from steering_study.vectors.schemas import PAIRS

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    pairs: Path,
    card: Path,
    directions: Path,
    vector: Path,
    vector_card: Path,
    method: str,
    trials: Mapping[int, Trial],
    batch_size: int | None,
    trained: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write tensors `layers` and `vectors`; the layer of the search keeps its vector."""
    model = read_model(card)
    objective = import_module(f"steering_study.vectors.methods.{method}").OBJECTIVE
    described, layers = (
        read_json(vector_card),
        read_tensors(directions, names=["layers", "vectors"])["layers"],
    )
    trial = trials[described["trial"]["trial"]]
    frame = read_table(pairs, PAIRS).query("kept and split != 'validation'")
    per_pass = responses_per_pass(model, frame, batch_size)
    vectors = []
    for layer in layers.tolist():
        if layer == described["layer"]:
            vectors.append(read_vector(vector))
            continue
        forced = force_pairs(model, pairs_of(model, frame), layer=layer, batch_size=per_pass)
        name = f"{model.card.name} {method} layer {layer}"
        learned, _ = train_trials(forced, None, [trial], objective=objective, batch_size=per_pass, label=name)
        vectors.append(learned[0].cpu())
    write_tensors(trained, {"layers": layers, "vectors": torch.stack(vectors)}, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            pairs=Path(snakemake.input.pairs),
            card=Path(snakemake.input.card),
            directions=Path(snakemake.input.directions),
            vector=Path(snakemake.input.vector),
            vector_card=Path(snakemake.input.vector_card),
            method=snakemake.wildcards.method,
            trials=trials_of(snakemake.params.trials),
            batch_size=snakemake.params.batch_size,
            trained=Path(snakemake.output.directions),
            provenance=provenance,
        )
