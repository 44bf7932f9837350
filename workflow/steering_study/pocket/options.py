"""What the config says of the bundled models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steering_study.store.names import nearest

BUNDLED = Path("resources/models")


def read_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of the bundled models, once every name in `plans` and `mixtures` is one of a shape.

    Raises:
        ValueError: if one is not.
    """
    for key in ("plans", "mixtures"):
        for name in options[key]:
            if name not in options["shapes"]:
                raise ValueError(
                    f"config: pocket.{key} names {name!r}, which is no shape{nearest(name, options['shapes'])}"
                )
    return options
