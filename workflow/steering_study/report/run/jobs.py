"""The study's jobs as a graph of rules.

Some rules run more than once on the way from prompts to the report: texts are judged in the sweep over coefficients
and again in the test. A graph with one node a rule would have circles, so a node is a rule at one stage.

1. Jobs of one rule and one `run` (sweep, test, ...) are a node.
2. Where nodes still lie on a circle, their jobs are split by level, the longest way that leads to a job. An edge goes to a
   higher level and a circle would have to come back, so no circle is left.
3. An edge between two nodes that a longer way implies is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import pandas as pd

Stage = tuple[str, str, int]  # rule, run, level; the last two are empty and -1 where they tell nothing apart


@dataclass(frozen=True)
class Job:
    """A job of the study, as `plan.planned_jobs` lists it."""

    rule: str
    part: str
    wildcards: Mapping[str, str]
    outputs: Sequence[str]
    benchmark: str  # empty: the rule has none
    needs: Sequence[int]  # places of other jobs in the list


def read_jobs(values: Sequence[Mapping[str, Any]]) -> list[Job]:
    """The jobs of a plan."""
    return [Job(**value) for value in values]


def stages_of(jobs: Sequence[Job]) -> list[Stage]:
    """The stage of each job."""
    runs = Counter((job.rule, job.wildcards.get("run", "")) for job in jobs)
    several = Counter(rule for rule, _ in runs)
    stages: list[Stage] = [
        (job.rule, job.wildcards.get("run", "") if several[job.rule] > 1 else "", -1) for job in jobs
    ]
    graph = _graph(stages, jobs)
    circles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
    circling = set[Stage]().union(*circles, (stage for stage in graph if graph.has_edge(stage, stage)))
    return [
        (stage[0], stage[1], level) if stage in circling else stage
        for stage, level in zip(stages, levels(jobs), strict=True)
    ]


def levels(jobs: Sequence[Job]) -> list[int]:
    """Length of the longest way that leads to each job."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(jobs)))
    graph.add_edges_from((need, place) for place, job in enumerate(jobs) for need in job.needs)
    return [
        level
        for _, level in sorted(
            (place, level) for level, row in enumerate(nx.topological_generations(graph)) for place in row
        )
    ]


def rule_graph(jobs: Sequence[Job]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Frames `stages` and `links`: the nodes and the edges of the graph of rules."""
    stages = stages_of(jobs)
    order = list(dict.fromkeys(stages))
    names = {stage: place for place, stage in enumerate(order)}
    rows = []
    for stage in order:
        own = [job for job, other in zip(jobs, stages, strict=True) if other == stage]
        methods = dict.fromkeys(job.wildcards["method"] for job in own if "method" in job.wildcards)
        words = [stage[1], ", ".join(methods) if stage[2] >= 0 else ""]
        rows.append(
            {
                "stage": names[stage],
                "rule": stage[0],
                "part": own[0].part,
                "detail": ": ".join(word for word in words if word),
                "jobs": len(own),
            }
        )
    reduced = nx.transitive_reduction(_graph(stages, jobs))
    links = sorted((names[source], names[target]) for source, target in reduced.edges)
    return pd.DataFrame(rows), pd.DataFrame(links, columns=["source", "target"])


def _graph(stages: Sequence[Stage], jobs: Sequence[Job]) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(stages)
    graph.add_edges_from(
        (stages[need], stage) for stage, job in zip(stages, jobs, strict=True) for need in job.needs
    )
    return graph
