"""What the config says of attribution and circuits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steering_study.vectors.options import methods_of


@dataclass(frozen=True)
class Circuits:
    """Attribution of edges and evaluation of circuits."""

    methods: Sequence[str]
    responses: int | None
    metrics: Sequence[str]
    quadrature: Literal["midpoint", "gauss"]
    steps: int
    sizes_percent: Sequence[float]
    faithful: float
    random_draws: int
    prompts: int | None
    interchange: Mapping[str, int]
    drawn_edges: int
    tokens_per_pass: int
    max_values: int


def read_options(config: Mapping[str, Any]) -> Circuits:
    """Options of the config's section `circuits`.

    Raises:
        ValueError: if a method has no vector, or is a control.
    """
    section = config["circuits"]
    sizes = [float(share) for share in section["sizes_percent"]]
    return Circuits(**{**section, "methods": methods_of(config, "circuits"), "sizes_percent": sizes})
