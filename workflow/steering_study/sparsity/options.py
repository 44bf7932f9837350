"""What the config says of sparse vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steering_study.store.names import nearest
from steering_study.vectors.options import methods_of


@dataclass(frozen=True)
class Sparsity:
    """Sparse vectors: how many dimensions go, which variants are tried, and what they are tested on."""

    methods: Sequence[str]
    prompts: int | None
    max_new_tokens: int
    percents: Sequence[float]
    thresholds: Sequence[float]
    dropout: Mapping[str, int]
    variants: Mapping[str, Any]
    shared_percents: Sequence[float]
    circuits: Mapping[str, Any]
    kl_prompts: int
    top_tokens: int
    retained: float


def read_options(config: Mapping[str, Any]) -> Sparsity:
    """Options of the config's section `sparsity`: methods with scores of their dimensions, and a grid.

    Raises:
        ValueError: if a method has no scores, or there is no grid.
    """
    section = config["sparsity"]
    scored = methods_of(config, "circuits")
    for name in section["methods"] or []:
        if name not in scored:
            raise ValueError(
                f"config: sparsity.methods names {name!r}, whose dimensions have no scores{nearest(name, scored)}; "
                "name it in circuits.methods as well"
            )
    if not section["percents"] and not section["thresholds"]:
        raise ValueError("config: sparsity.percents and sparsity.thresholds are both empty; give one of them")
    floats = {
        key: [float(value) for value in section[key]] for key in ("percents", "thresholds", "shared_percents")
    }
    return Sparsity(**{**section, **floats, "methods": list(section["methods"] or scored)})
