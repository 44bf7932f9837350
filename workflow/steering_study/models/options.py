"""What the config says of a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steering_study.store.names import nearest

GGUF = ".gguf"


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
    source: str  # hub id, local folder or GGUF file
    sha256: str | None  # that a GGUF file must have
    revision: str | None
    dtype: str
    refusal_request: str | None
    refusal_tokens: Sequence[str] | None
    direction: Direction | None
    max_depth: float | None  # share of the blocks that DIM candidates come from; None: that of the study
    circuit_step: int | None  # edges between two circuit sizes; None: shares of all edges
    top_edges: int

    @property
    def is_gguf(self) -> bool:
        """Whether the model is a GGUF file, which has to be unpacked."""
        return self.source.endswith(GGUF)


def model_options(name: str, options: Mapping[str, Mapping[str, Any]]) -> ModelOptions:
    """Options of a model; a name without an entry is a hub id, a local folder or a GGUF file.

    Raises:
        ValueError: if it is none of them, naming the nearest known model; or a GGUF file that is not there.
    """
    entry = options.get(name)
    if entry is None:
        if "/" not in name and not Path(name).is_dir() and not name.endswith(GGUF):
            raise ValueError(
                f"models: {name!r} is not in model_options, no hub id (owner/name), no local folder and no GGUF file"
                f"{nearest(name, options)}"
            )
        entry = {}
    source = entry.get("source", name)
    if source.endswith(GGUF) and not Path(source).is_file():
        raise ValueError(
            f"config: model {name!r} is the GGUF file {source!r}, and there is no such file; correct the path, which starts from the repository"
        )
    if entry.get("sha256") is not None and not source.endswith(GGUF):
        raise ValueError(
            f"config: model_options.{name}.sha256 is of a GGUF file, but {source!r} is none; a hub id takes a revision instead"
        )
    direction = entry.get("direction")
    return ModelOptions(
        name=folder_name(name),
        source=source,
        sha256=entry.get("sha256"),
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
    """Folder name of a model: the last part of a hub id or path, in lower case, without a file's suffix."""
    return re.sub(r"[^a-z0-9._-]", "-", Path(name).name.removesuffix(GGUF).lower())
