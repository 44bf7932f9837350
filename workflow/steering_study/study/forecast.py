"""What a run is about to do: jobs, expected minutes and disk, from measured times of the bundled study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

MEASURED = Path(__file__).parents[2] / "report" / "measured_seconds.yaml"


def describe_plan(jobs: Sequence[str], *, models: Sequence[str], cores: int | None) -> list[str]:
    """Lines that say how many jobs will run and, where every rule was measured, for how long.

    Times were measured on two cores with the bundled models; for other models, and on a cluster (`cores` None), only the jobs are
    counted.
    """
    if not jobs:
        return []
    measured = yaml.safe_load(MEASURED.read_text("utf-8"))
    counted = Counter(job for job in jobs if job not in measured["targets"])
    lines = [f"This run: {sum(counted.values())} jobs for {', '.join(models)}."]
    known = all(model in measured["models"] for model in models)
    if cores and known and all(rule in measured["seconds"] for rule in counted):
        busy = sum(measured["seconds"][rule] * n for rule, n in counted.items())
        minutes = busy / min(cores, measured["parallel"]) / 60
        lines.append(
            f"Expected: about {max(1, round(minutes))} min on {cores} cores (measured on two), "
            f"{measured['disk_mb']} MB of disk. Stop at any time: finished jobs are kept."
        )
    else:
        lines.append(
            f"No time was measured for these jobs{'' if cores else ' on a cluster'}: it grows with parameters, prompts and tokens. "
            "Stop at any time: finished jobs are kept."
        )
    return lines
