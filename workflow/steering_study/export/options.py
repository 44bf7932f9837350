"""What the config says of the folder for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Export:
    """What is written for others."""

    vectors: Literal["bundled", "all"]
