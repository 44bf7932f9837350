"""Wall time of the last study, from the benchmark files of its jobs."""

from __future__ import annotations

import json
from pathlib import Path

from rows import measured


def benchmark_study(folder: Path) -> list[dict]:
    """One row: seconds of all jobs together; none where no study has run."""
    seconds = [json.loads(line)["s"] for path in sorted(folder.rglob("*.jsonl")) for line in path.open()]
    if not seconds:
        return []
    return [measured("study: wall", sum(seconds), "s", f"{len(seconds)} jobs, one after the other")]
