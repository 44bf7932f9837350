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


def with_norm(direction: Float[Tensor, "d_model"], norm: Float[Tensor, ""]) -> Float[Tensor, "d_model"]:
    """A direction in float32 at a norm; nothing stays nothing.

    Before the first block every prompt holds the same embeddings at the template's closing tokens, so that
    differences in means there are zero and have no direction.
    """
    return torch.nn.functional.normalize(direction.float(), dim=-1) * norm


def shuffled_groups(labels: Sequence[str], *, generator: torch.Generator) -> tuple[list[int], list[int]]:
    """Indices of two groups, each a random half of each class.

    A plain shuffle leaves some more of one class in one group. The classes lie so far apart that the difference in
    means of such groups, at DIM's norm, points along DIM. With halves of each class that part cancels; what varies
    within the classes stays, and part of it may still point along DIM.

    Raises:
        ValueError: if there are not two labels.
    """
    names = sorted(set(labels))
    if len(names) != 2:
        raise ValueError(f"labels {names} are not two classes, so there is nothing to shuffle")
    first: list[int] = []
    second: list[int] = []
    for name in names:
        members = [i for i, label in enumerate(labels) if label == name]
        order = torch.randperm(len(members), generator=generator).tolist()
        half = len(members) // 2
        first += [members[i] for i in order[:half]]
        second += [members[i] for i in order[half:]]
    return first, second
