import networkx as nx
import pytest
from tests.report.run_jobs import job, small_study

from steering_study.report.run.jobs import levels, read_jobs, rule_graph, stages_of


def test_every_job_has_one_stage_and_no_stage_lies_on_a_circle():
    jobs = small_study()
    stages, links = rule_graph(jobs)
    assert stages["jobs"].sum() == len(jobs)
    graph = nx.DiGraph(list(zip(links["source"], links["target"], strict=True)))
    assert nx.is_directed_acyclic_graph(graph)


def test_rules_that_make_a_circle_are_split_and_others_are_not():
    # the second method's vector needs the first one's coefficient: train, sweep, judge and choose go round
    stages, _ = rule_graph(small_study())
    names = sorted(zip(stages["rule"], stages["detail"], strict=True))
    assert names == [
        ("choose", "dim"),
        ("choose", "ntp"),
        ("draw", ""),
        ("generate", "sweep: dim"),
        ("generate", "sweep: ntp"),
        ("generate", "test"),
        ("judge", "dim"),
        ("judge", "ntp"),
        ("prepare", ""),
        ("train", "dim"),
        ("train", "ntp"),
    ]


def test_links_are_the_needs_of_jobs_without_those_that_others_imply():
    jobs = read_jobs([job("a", "a"), job("b", "b", 0), job("c", "c", 0, 1), job("d", "d", 0)])
    stages, links = rule_graph(jobs)
    names = dict(zip(stages["stage"], stages["rule"], strict=True))
    pairs = {(names[a], names[b]) for a, b in zip(links["source"], links["target"], strict=True)}
    assert pairs == {("a", "b"), ("b", "c"), ("a", "d")}


def test_a_rule_that_needs_itself_is_split():
    jobs = read_jobs([job("a", "1", method="x"), job("a", "2", 0, method="y")])
    assert stages_of(jobs) == [("a", "", 0), ("a", "", 1)]


def test_level_is_the_longest_way():
    assert levels(read_jobs([job("c", "c", 1, 2), job("b", "b", 2), job("a", "a")])) == [2, 1, 0]


@pytest.mark.parametrize("jobs", [[], [job("a", "a")]])
def test_studies_without_links(jobs):
    stages, links = rule_graph(read_jobs(jobs))
    assert (len(stages), len(links)) == (len(jobs), 0)
