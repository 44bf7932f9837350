"""Directions that should do nothing at DIM's norm: they show what any push of that size does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def random_direction(d_model: int, *, generator: torch.Generator) -> Float[Tensor, "d_model"]:
    """A unit vector, uniform on the sphere."""
    direction = torch.randn(d_model, generator=generator)
    return direction / direction.norm()


def shuffled_groups(labels: Sequence[str], *, generator: torch.Generator) -> tuple[list[int], list[int]]:
    """Indices of two groups of the classes' sizes, members drawn whatever their label.

    Raises:
        ValueError: if there are not two labels.
    """
    names = sorted(set(labels))
    if len(names) != 2:
        raise ValueError(f"labels {names} are not two classes, so there is nothing to shuffle")
    order = torch.randperm(len(labels), generator=generator).tolist()
    n_first = sum(label == names[0] for label in labels)
    return order[:n_first], order[n_first:]
