"""Hooks on the bridge: each touches one activation at one hook point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Hook = tuple[str, Callable[..., Tensor | None]]


@dataclass(frozen=True)
class Steering:
    """Activation addition, h <- h + coefficient * vector at `resid_pre` of a block, each row with its own.

    A coefficient of 0 leaves a row unsteered.
    """

    vectors: Float[Tensor, "batch d_model"]
    coefficients: Float[Tensor, "batch"]
    layers: Int[Tensor, "batch"]

    def __post_init__(self) -> None:
        if not len(self.vectors) == len(self.coefficients) == len(self.layers):
            raise ValueError(
                f"steering has {len(self.vectors)} vectors, {len(self.coefficients)} coefficients and "
                f"{len(self.layers)} layers; expected one of each a row"
            )

    @classmethod
    def uniform(
        cls, vector: Float[Tensor, "d_model"], *, layer: int, coefficients: Sequence[float]
    ) -> Steering:
        """One vector at one layer for all rows, with a coefficient per row."""
        rows = len(coefficients)
        return cls(vector.expand(rows, -1), torch.tensor(coefficients), torch.full((rows,), layer))

    def select(self, rows: Sequence[int]) -> Steering:
        """Steering of some rows, in the order given."""
        index = torch.as_tensor(rows)
        return Steering(self.vectors[index], self.coefficients[index], self.layers[index])


def check_steering(steering: Steering, *, n_layers: int, d_model: int) -> None:
    """Refuse a vector or a layer that the model does not have.

    Raises:
        ValueError: naming what was expected and what was found.
    """
    if steering.vectors.shape[1] != d_model:
        raise ValueError(
            f"steering vector has width {steering.vectors.shape[1]}, the model's d_model is {d_model}; "
            "a vector only steers the model it was made for"
        )
    if not steering.vectors.isfinite().all():
        raise ValueError("steering vector holds NaN or infinity; make it again")
    if bool(((steering.layers < 0) | (steering.layers >= n_layers)).any()):
        found = sorted({int(layer) for layer in steering.layers})
        raise ValueError(f"steering layers {found} reach outside 0..{n_layers - 1}")


def steering_hooks(steering: Steering, positions: Bool[Tensor, "batch pos"]) -> list[Hook]:
    """Add each row's vector at the given positions: a hook at `resid_pre` of each block that some row is steered at."""
    device = positions.device
    scaled = steering.coefficients.to(device)[:, None] * steering.vectors.to(device).float()

    def steer_at(layer: int) -> Callable[..., Tensor]:
        is_steered = positions & (steering.layers == layer).to(device)[:, None]

        def steer(resid: Tensor, hook: object) -> Tensor:
            return resid + (scaled[:, None] * is_steered[..., None]).to(resid.dtype)

        return steer

    layers = sorted({int(layer) for layer in steering.layers})
    return [(f"blocks.{layer}.hook_resid_pre", steer_at(layer)) for layer in layers]


def directional_ablation(direction: Float[Tensor, "batch d_model"], *, n_layers: int) -> list[Hook]:
    """Project a direction, one a row, out of the residual stream and of all that is added to it.

    h <- h - s_hat s_hat^T h     at resid_pre of every block and at attn_out and mlp_out   (docs/vectors.md)
    """
    unit = direction / direction.norm(dim=-1, keepdim=True)

    def project_out(activation: Tensor, hook: object) -> Tensor:
        s = unit[:, None].to(activation)
        return activation - (activation * s).sum(-1, keepdim=True) * s

    points = ("hook_resid_pre", "hook_attn_out", "hook_mlp_out")
    return [(f"blocks.{layer}.{point}", project_out) for layer in range(n_layers) for point in points]


def record(store: dict[str, Tensor], names: Sequence[str], *, last: int) -> list[Hook]:
    """Keep the last positions of the named activations."""

    def keep(name: str) -> Callable[..., None]:
        def save(activation: Tensor, hook: object) -> None:
            store[name] = activation[:, -last:].detach()

        return save

    return [(name, keep(name)) for name in names]
