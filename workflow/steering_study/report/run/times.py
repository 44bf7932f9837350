"""How long the jobs of a study took, from their benchmark files, and how long they would take on other machines."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from steering_study.report.run.jobs import Job

COLUMNS = {"seconds": "s", "cpu_seconds": "cpu_time", "max_rss_mib": "max_rss"}  # ours -> Snakemake's


def job_times(jobs: Sequence[Job], root: Path) -> pd.DataFrame:
    """Seconds and memory of each job, in the jobs' order; NaN where there is no measurement."""
    rows = [
        {
            "rule": job.rule,
            "part": job.part,
            "wildcards": ", ".join(f"{key}={value}" for key, value in job.wildcards.items()),
            **read_benchmark(root / job.benchmark),
        }
        for job in jobs
    ]
    return pd.DataFrame(rows, columns=["rule", "part", "wildcards", *COLUMNS])


def read_benchmark(path: Path) -> dict[str, float]:
    """The last line of a job's benchmark file.

    Raises:
        ValueError: if it is no line of JSON.
    """
    if not path.is_file():
        return dict.fromkeys(COLUMNS, math.nan)
    lines = path.read_text("utf-8").split("\n")
    try:
        measured = json.loads([line for line in lines if line.strip()][-1])
    except (IndexError, json.JSONDecodeError):
        raise ValueError(f"{path} is no benchmark file; delete it, the report then leaves it out") from None
    return {column: _number(measured.get(key)) for column, key in COLUMNS.items()}


def rule_times(times: pd.DataFrame) -> pd.DataFrame:
    """Jobs of each rule taken together, the longest first."""
    groups = times.groupby(["rule", "part"], sort=False)
    table = groups.agg(
        jobs=("rule", "size"),
        measured=("seconds", "count"),
        total_seconds=("seconds", "sum"),
        mean_seconds=("seconds", "mean"),
        longest_seconds=("seconds", "max"),
        cpu_seconds=("cpu_seconds", "sum"),
        max_rss_mib=("max_rss_mib", "max"),
    )
    return table.reset_index().sort_values(
        ["total_seconds", "rule"], ascending=[False, True], ignore_index=True
    )


def spread_over(seconds: Sequence[float], needs: Sequence[Sequence[int]], *, cores: int) -> float:
    """Wall seconds on some cores, if jobs took what they took here.

    A free core takes, of the jobs whose needs are met, the one at the head of the longest chain of jobs. One job
    fills one core. With as many cores as jobs this is the longest chain.

    Args:
        seconds: of each job; NaN counts as none.
        needs: places of the jobs that must end before each.
    """
    costs = [0.0 if math.isnan(cost) else float(cost) for cost in seconds]
    followers: list[list[int]] = [[] for _ in costs]
    for place, others in enumerate(needs):
        for other in others:
            followers[other].append(place)
    waiting = [len(set(others)) for others in needs]
    chains = _chains(costs, followers, waiting)
    ready = [(-chains[place], place) for place, n in enumerate(waiting) if n == 0]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < cores:
            _, place = heapq.heappop(ready)
            heapq.heappush(running, (now + costs[place], place))
        now, ended = heapq.heappop(running)
        for place in followers[ended]:
            waiting[place] -= 1
            if waiting[place] == 0:
                heapq.heappush(ready, (-chains[place], place))
    return now


def _chains(
    costs: Sequence[float], followers: Sequence[Sequence[int]], waiting: Sequence[int]
) -> list[float]:
    """Seconds of the longest chain of jobs that begins with each."""
    left, order = list(waiting), [place for place, n in enumerate(waiting) if n == 0]
    for place in order:  # grows as it goes
        for follower in followers[place]:
            left[follower] -= 1
            if left[follower] == 0:
                order.append(follower)
    chains = list(costs)
    for place in reversed(order):
        chains[place] += max((chains[follower] for follower in followers[place]), default=0.0)
    return chains


def _number(value: object) -> float:
    """A measured number; NaN for what was too short to be measured."""
    return float(value) if isinstance(value, int | float) else math.nan
