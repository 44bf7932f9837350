"""What the config says of generation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decoding:
    """How a job writes and scores texts: what every rule that generates takes from the config."""

    max_new_tokens: int
    batch_size: int | None  # texts side by side; None: as many as memory holds
    scored_batch_size: int | None  # the same of given texts
