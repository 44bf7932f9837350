"""A row of results/benchmarks.json."""

from __future__ import annotations

from typing import Any


def measured(
    name: str, ours: float, unit: str, setting: str, *, other: float | None = None
) -> dict[str, Any]:
    """What our way takes, and how many times as much the other way; None: there is no other."""
    ratio = None if other is None else other / ours
    return {"name": name, "ours": ours, "other": other, "ratio": ratio, "unit": unit, "setting": setting}
