"""Controls: a random direction, and a difference in means of shuffled labels, both of DIM's norm."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from steering_study.models.loading import read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_json, read_table, read_tensors, write_json, write_tensors
from steering_study.store.job import job
from steering_study.vectors.controls import random_direction, shuffled_groups, with_norm
from steering_study.vectors.dim import mean_residuals
from steering_study.vectors.files import read_vector

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    dim_vector: Path,
    dim_card: Path,
    dim_directions: Path,
    method: str,
    seed: int,
    batch_size: int | None,
    vector: Path,
    vector_card: Path,
    directions: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the control and its card; layer, position and norm are those of DIM."""
    dim, described = read_tensors(dim_directions, names=["layers", "vectors"]), read_json(dim_card)
    layers, norms = dim["layers"].tolist(), dim["vectors"].norm(dim=-1)
    draw = torch.Generator().manual_seed(seed)
    if method == "random":
        direction = random_direction(dim["vectors"].shape[1], generator=draw)
        at_layer = dict.fromkeys([*layers, described["layer"]], direction)
    else:
        means = shuffled_difference(prompts, card, draw=draw, batch_size=batch_size)
        at_layer = {layer: means[layer, described["position"]] for layer in [*layers, described["layer"]]}
    norm_of_dim = read_vector(dim_vector).norm()
    own = with_norm(at_layer[described["layer"]], norm_of_dim)
    write_tensors(vector, {"vector": own}, provenance=provenance)
    swept = torch.stack([with_norm(at_layer[layer], norm) for layer, norm in zip(layers, norms, strict=True)])
    write_tensors(directions, {"layers": dim["layers"], "vectors": swept}, provenance=provenance)
    kept = {key: described[key] for key in ("model", "revision", "layer", "position", "norm")}
    write_json(vector_card, {**kept, "method": method, "seed": seed})


def shuffled_difference(
    prompts: Path, card: Path, *, draw: torch.Generator, batch_size: int | None
) -> torch.Tensor:
    """Difference in means of two groups, each half of each class, [layer, position, d_model]."""
    model = read_model(card)
    frame = read_table(prompts, PROMPTS).query("split == 'train'")
    rows = model.render(list(frame["text"]))
    n_positions = len(model.card.post_instruction_ids)
    first, second = (
        mean_residuals(model, [rows[i] for i in group], n_positions=n_positions, batch_size=batch_size)
        for group in shuffled_groups(list(frame["label"]), generator=draw)
    )
    return first - second


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            dim_vector=Path(snakemake.input.dim_vector),
            dim_card=Path(snakemake.input.dim_card),
            dim_directions=Path(snakemake.input.dim_directions),
            method=snakemake.wildcards.method,
            seed=snakemake.params.seed,
            batch_size=snakemake.params.batch_size,
            vector=Path(snakemake.output.vector),
            vector_card=Path(snakemake.output.vector_card),
            directions=Path(snakemake.output.directions),
            provenance=provenance,
        )
