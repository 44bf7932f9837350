"""The jobs of a study as plain values: what each makes and which others it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def planned_jobs(dag: Any, *, before: str) -> list[dict[str, Any]]:
    """Every job that a rule with one job depends on, whether or not it still has to run.

    Args:
        dag: Snakemake's, complete.
        before: name of that rule.

    Returns:
        Jobs in the order of rules and wildcards. `needs` counts places in the same list; `part` is the file of rules.
    """
    (last,) = (job for job in dag.jobs if job.rule.name == before)
    jobs = sorted(
        (job for job in dag.bfs(dag.dependencies, last) if job is not last),
        key=lambda job: (job.rule.name, sorted(job.wildcards_dict.items())),
    )
    places = {job: place for place, job in enumerate(jobs)}
    return [
        {
            "rule": job.rule.name,
            "part": Path(str(job.rule.snakefile)).stem,
            "wildcards": dict(sorted(job.wildcards_dict.items())),
            "outputs": sorted(str(path) for path in job.output),
            "benchmark": str(job.benchmark or ""),
            "needs": sorted(places[other] for other in dag.dependencies[job]),
        }
        for job in jobs
    ]
