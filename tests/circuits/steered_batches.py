"""A steered batch of a tiny model, in float64, for tests of what is computed from base and steered runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LAYER = 1
EVEN, PADDED = (
    ((8, 5), (8, 5)),
    ((6, 5), (9, 3)),
)  # lengths of prompt and response; float64 and padding do not go
# together in the library's attention


@dataclass(frozen=True)
class SteeredBatch:
    """Tiny model, its steering and two responses of random tokens."""

    steered: Any  # SteeredModel
    prompts: list[tuple[int, ...]]
    responses: list[tuple[int, ...]]


def steered_batch(tiny: Any, *, scale: float, lengths: Any = EVEN) -> SteeredBatch:
    """Two rows steered by `scale` times a random vector."""
    from steering_study.circuits.paired_runs import SteeredModel

    generator = torch.Generator().manual_seed(3)

    def tokens(n: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, tiny.model.card.d_vocab, (n,), generator=generator).tolist())

    rows = [(tokens(prompt), tokens(response)) for prompt, response in lengths]
    dtype = next(tiny.model.bridge.original_model.parameters()).dtype
    vector: Tensor = scale * torch.randn(tiny.model.card.d_model, generator=generator, dtype=torch.float64)
    return SteeredBatch(
        SteeredModel(tiny.model, LAYER, vector.to(dtype)), [row[0] for row in rows], [row[1] for row in rows]
    )
