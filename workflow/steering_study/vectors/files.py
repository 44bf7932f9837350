"""Steering vectors and coefficients as the rules store them."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.store.artifacts import read_json, read_tensors


def read_vector(path: Path) -> Float[Tensor, "d_model"]:
    """The vector of a vector file, in float32.

    Raises:
        ValueError: if the file is corrupt or holds anything else.
    """
    return read_tensors(path, names=["vector"])["vector"].to(torch.float32)


def chosen_coefficients(path: Path) -> dict[str, list[float]]:
    """The chosen coefficient of each condition, as a grid of one."""
    return {condition: [value] for condition, value in read_json(path).items()}


def read_vectors(vectors: Path, card: Path | None) -> dict[int, Float[Tensor, "d_model"]]:
    """Vectors by the layer that they are added at: one, whose layer its card names, or all of a file of several layers."""
    if card is not None:
        return {read_json(card)["layer"]: read_vector(vectors)}
    stored = read_tensors(vectors, names=["layers", "vectors"])
    return dict(zip(stored["layers"].tolist(), stored["vectors"].float(), strict=True))
