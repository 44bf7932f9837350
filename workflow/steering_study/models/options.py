"""What the config says of a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steering_study.store.names import nearest


@dataclass(frozen=True)
class Direction:
    """A published choice of layer, position and coefficients."""

    layer: int
    position: int
    induce: float
    bypass: float


@dataclass(frozen=True)
class ModelOptions:
    """What the study knows of a model before it is resolved.

    `refusal_request` asks for a refusal of the prompt in it; without it, refusals to train on are brought about by DIM.
    """

    name: str
    source: str
    revision: str | None
    dtype: str
    refusal_request: str | None
    refusal_tokens: Sequence[str] | None
    direction: Direction | None
    max_depth: float | None  # share of the blocks that DIM candidates come from; None: that of the study
    circuit_step: int | None  # edges between two circuit sizes; None: shares of all edges
    top_edges: int


def model_options(name: str, options: Mapping[str, Mapping[str, Any]]) -> ModelOptions:
    """Options of a model; a name without an entry is a hub id or a local folder.

    Raises:
        ValueError: if it is none of them, naming the nearest known model.
    """
    entry = options.get(name)
    if entry is None:
        if "/" not in name and not Path(name).is_dir():
            raise ValueError(
                f"models: {name!r} is not in model_options, no hub id (owner/name) and no local folder"
                f"{nearest(name, options)}"
            )
        entry = {}
    direction = entry.get("direction")
    return ModelOptions(
        name=folder_name(name),
        source=entry.get("source", name),
        revision=entry.get("revision"),
        dtype=entry.get("dtype", "bfloat16"),
        refusal_request=entry.get("refusal_request"),
        refusal_tokens=entry.get("refusal_tokens"),
        direction=Direction(**direction) if direction else None,
        max_depth=entry.get("max_depth"),
        circuit_step=entry.get("circuits", {}).get("step"),
        top_edges=entry.get("circuits", {}).get("top_edges", 100),
    )


def folder_name(name: str) -> str:
    """Folder name of a model: the last part of a hub id or path, in lower case."""
    return re.sub(r"[^a-z0-9._-]", "-", Path(name).name.lower())
