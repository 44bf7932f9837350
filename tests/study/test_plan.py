"""Jobs of a graph like Snakemake's."""

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from steering_study.study.plan import planned_jobs


@dataclass(eq=False)
class FakeJob:
    name: str
    wildcards_dict: dict
    output: list
    benchmark: str | None = None

    @property
    def rule(self):
        return SimpleNamespace(name=self.name, snakefile=f"rules/{self.name}_rules.smk")


@dataclass
class FakeDag:
    dependencies: dict = field(default_factory=dict)

    @property
    def jobs(self):
        return self.dependencies.keys()

    def bfs(self, direction, *jobs):
        queue, seen = deque(jobs), set(jobs)
        while queue:
            job = queue.popleft()
            yield job
            queue.extend(other for other in direction[job] if other not in seen)
            seen.update(direction[job])


@pytest.fixture
def dag():
    first = FakeJob("first", {}, ["a.txt"], "logs/first.jsonl")
    second = [FakeJob("second", {"model": m}, [f"{m}.txt"]) for m in "yx"]
    page, target, stranger = (FakeJob(name, {}, []) for name in ("page", "all", "stranger"))
    return FakeDag(
        {
            target: {page: set(), stranger: set()},
            page: {each: set() for each in second},
            second[0]: {first: {"a.txt"}},
            second[1]: {first: {"a.txt"}},
            first: {},
            stranger: {},
        }
    )


def test_jobs_are_those_that_the_page_needs_in_order(dag):
    jobs = planned_jobs(dag, before="page")
    assert [(job["rule"], job["wildcards"]) for job in jobs] == [
        ("first", {}),
        ("second", {"model": "x"}),
        ("second", {"model": "y"}),
    ]
    assert [job["needs"] for job in jobs] == [[], [0], [0]]


def test_a_job_has_its_part_files_and_benchmark(dag):
    first, second, _ = planned_jobs(dag, before="page")
    assert (first["part"], first["outputs"], first["benchmark"]) == (
        "first_rules",
        ["a.txt"],
        "logs/first.jsonl",
    )
    assert second["benchmark"] == ""
