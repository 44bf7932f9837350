"""What the config says of frozen generation, value vectors and neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steering_study.attention.ablations import parse_ablation
from steering_study.vectors.options import methods_of


@dataclass(frozen=True)
class Attention:
    """Frozen generation, and what the OV circuit and the MLPs write."""

    methods: Sequence[str]
    prompts: int | None
    ablations: Mapping[str, Sequence[str]]  # by scope
    top_heads: int
    top_tokens: int
    neurons: Mapping[str, int]
    maps: Mapping[str, int]


def read_options(config: Mapping[str, Any]) -> Attention:
    """Options of the config's section `attention`.

    Raises:
        ValueError: if DIM is not among its methods, or an ablation is none.
    """
    section = config["attention"]
    return Attention(
        **{
            **section,
            "methods": _with_dim(methods_of(config, "attention")),
            "ablations": _ablations(section["ablations"]),
        }
    )


def _with_dim(methods: list[str]) -> list[str]:
    """Methods whose steering is ablated: Table 1 and its examples are of DIM."""
    if "dim" not in methods:
        raise ValueError(
            f"config: attention.methods is {methods}, expected 'dim' in it: Table 1 is of DIM; add it"
        )
    return methods


def _ablations(by_scope: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """Ablations of each scope, each of them one that there is."""
    for scope, names in by_scope.items():
        if "none" not in names:
            raise ValueError(
                f"config: attention.ablations.{scope} lacks 'none', which the others are compared with; add it"
            )
        for name in names:
            try:
                parse_ablation(name)
            except ValueError as error:
                raise ValueError(f"config: attention.ablations.{scope}: {error}") from None
    return by_scope
