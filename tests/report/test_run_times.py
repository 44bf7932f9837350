import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.run_jobs import small_study

from steering_study.report.run.times import job_times, read_benchmark, rule_times, spread_over


@pytest.fixture
def measured(tmp_path):
    """Every job took its place in the list, plus one, in seconds; the last has no file."""
    jobs = small_study()
    for place, job in enumerate(jobs[:-1]):
        path = tmp_path / job.benchmark
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"s": place + 1.0, "cpu_time": 0.5, "max_rss": 100.0 + place}) + "\n\n")
    return jobs, tmp_path


def test_times_are_those_of_the_benchmark_files(measured):
    times = job_times(*measured)
    assert list(times["seconds"][:-1]) == [float(n) for n in range(1, 12)]
    assert times["seconds"].isna().sum() == 1


def test_jobs_of_a_rule_are_taken_together(measured):
    times = rule_times(job_times(*measured)).set_index("rule")
    sweep_and_test = [3.0, 6.0, 8.0, 11.0]
    row = times.loc["generate"]
    assert (row["jobs"], row["measured"]) == (4, 4)
    assert (row["total_seconds"], row["longest_seconds"]) == (sum(sweep_and_test), 11.0)
    assert row["mean_seconds"] == sum(sweep_and_test) / 4
    assert row["max_rss_mib"] == 110.0
    assert times.index[0] == "generate"
    assert (times.loc["draw", "jobs"], times.loc["draw", "measured"]) == (1, 0)


def test_what_was_too_short_to_measure_is_no_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"s": 0.01, "cpu_time": 0, "max_rss": "NA"}\n')
    found = read_benchmark(path)
    assert (found["seconds"], found["cpu_seconds"]) == (0.01, 0.0)
    assert math.isnan(found["max_rss_mib"])


def test_a_repeated_job_counts_with_its_last_run(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"s": 1.0}\n{"s": 2.0}\n')
    assert read_benchmark(path)["seconds"] == 2.0


@pytest.mark.parametrize("text", ["", "s\th:m:s\n1\t0:00:01\n"])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match="is no benchmark file"):
        read_benchmark(path)


def test_cores_by_hand():
    # a (1 s) before b (2 s) and c (2 s), both before d (1 s)
    seconds, needs = [1.0, 2.0, 2.0, 1.0], [[], [0], [0], [1, 2]]
    assert [spread_over(seconds, needs, cores=n) for n in (1, 2, 3)] == [6.0, 4.0, 4.0]
    # of two free jobs the one with more behind it goes first
    assert spread_over([5.0, 1.0, 5.0], [[], [], [1]], cores=1) == 11.0
    assert spread_over([5.0, 1.0, 5.0], [[], [], [1]], cores=2) == 6.0
    assert spread_over([], [], cores=2) == 0.0


@given(
    st.lists(st.tuples(st.integers(0, 9), st.lists(st.integers(0, 11), max_size=3)), max_size=12),
    st.integers(1, 5),
)
def test_cores_never_beat_their_number_nor_the_longest_chain(jobs, cores):
    seconds = [float(cost) for cost, _ in jobs]
    needs = [sorted({other for other in others if other < place}) for place, (_, others) in enumerate(jobs)]
    chain = spread_over(seconds, needs, cores=len(jobs) + 1)
    took = spread_over(seconds, needs, cores=cores)
    ends = []
    for cost, others in zip(seconds, needs, strict=True):
        ends.append(cost + max((ends[other] for other in others), default=0.0))
    assert chain == max(ends, default=0.0)
    assert max(chain, sum(seconds) / cores) <= took + 1e-9
    assert took <= sum(seconds) / cores + chain + 1e-9  # Graham's bound


def test_a_job_without_a_time_takes_none():
    assert spread_over([math.nan, 2.0], [[], [0]], cores=1) == 2.0
