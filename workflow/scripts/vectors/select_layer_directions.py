"""DIM at every layer of the sweep over depth: each layer's best position."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from steering_study.store.artifacts import read_json, read_table, read_tensors, write_tensors
from steering_study.store.job import job
from steering_study.vectors.schemas import CANDIDATES
from steering_study.vectors.selection import best_position, resolve_layers

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    candidates: Path,
    means: Path,
    card: Path,
    dim_card: Path,
    layers: Sequence[float] | Literal["all"],
    directions: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write tensors `layers` and `vectors`; DIM's own layer keeps the position that was selected."""
    scores, classes, chosen = (
        read_table(candidates, CANDIDATES),
        read_tensors(means),
        read_json(dim_card),
    )
    named = resolve_layers(layers, n_layers=read_json(card)["n_layers"])
    swept = sorted({*named, chosen["layer"]})
    positions = [
        chosen["position"] if layer == chosen["layer"] else best_position(scores, layer=layer)
        for layer in swept
    ]
    difference = classes["harmful"] - classes["harmless"]
    vectors = torch.stack([difference[at] for at in zip(swept, positions, strict=True)]).float()
    write_tensors(directions, {"layers": torch.tensor(swept), "vectors": vectors}, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            candidates=Path(snakemake.input.candidates),
            means=Path(snakemake.input.means),
            card=Path(snakemake.input.card),
            dim_card=Path(snakemake.input.dim_card),
            layers=snakemake.params.layers,
            directions=Path(snakemake.output.directions),
            provenance=provenance,
        )
