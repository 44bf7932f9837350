"""Runs of the tiny study that are killed, resumed, edited and fed bad files."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from steering_study.store.artifacts import read_arrays
from tests.workflow.conftest import OF_SMALL, wait_until

slow = pytest.mark.slow

THREADS_ATOL = 1e-5  # of log-probabilities, the largest sums in float32; docs/running/reproducibility.md says what was found
BEFORE_JUDGING = (
    "prompts/",
    "pocket-llama/model.json",
    "pocket-llama/none/base/responses",
    "pocket-llama/class_means",
)


def written(project) -> dict[str, int]:
    """Results by name, with the time at which each was written."""
    root = project.folder / "results"
    return {str(p.relative_to(root)): p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}


def contents(project) -> dict[str, bytes]:
    """Results by name, hidden ones too."""
    root = project.folder / "results"
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def percents_as_shares(path: Path) -> pd.DataFrame:
    """A table with its percentages divided by 100: rounding is in what they are shares of."""
    table = pd.read_parquet(path)
    percents = [name for name in table if name.endswith("_percent")]
    return table.assign(**{name: table[name] / 100 for name in percents})


def assert_equal_but_rounding(first: pd.DataFrame, second: pd.DataFrame, *, name: str) -> None:
    """Equal tables but for rounding; ranked edges whose scores rounding alone tells apart may change places."""
    forms = [(first, second)]
    if "place" in first:
        forms = [
            (first.drop(columns="edge"), second.drop(columns="edge")),
            (by_edge(first), by_edge(second)),
        ]
    for one, two in forms:
        pd.testing.assert_frame_equal(one, two, rtol=0, atol=THREADS_ATOL, obj=name)


def by_edge(rankings: pd.DataFrame) -> pd.DataFrame:
    """Scores of edges in an order that does not depend on the scores."""
    names = [name for name in rankings if name not in ("place", "score")]
    return rankings.drop(columns="place").sort_values(names, ignore_index=True)


def rule_names(folder: Path) -> list[str]:
    """Rules of the workflow that are no targets alone."""
    files = (folder / "workflow" / "rules").glob("*.smk")
    return [name for file in files for name in re.findall(r"^rule (\w+):", file.read_text("utf-8"), re.M)]


def planned(project, *, target: str = "tables") -> set[str]:
    """Rules that a dry run would execute."""
    output = project.run_small("-n", target=target)
    assert output.returncode == 0, output.stderr
    rows = re.findall(r"^ ([a-z ]+?) +\d+ *$", output.stdout + output.stderr, re.M)
    return {row.replace(" ", "_") for row in rows} - {target, "total"}


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")


def test_the_study_of_these_tests_plans(small):
    assert {"select_direction", "compare_vectors", "freeze_attention"} <= planned(small)


@slow
def test_a_finished_study_has_nothing_to_do_and_an_edit_reruns_the_rule_that_uses_it(finished_copy):
    small = finished_copy
    assert planned(small) == set()

    package = small.folder / "workflow" / "steering_study"
    edit(
        package / "vectors" / "agreement.py",
        '"""Cosine similarity, in float64.',
        '"""Cosine similarity, in double precision.',
    )
    assert planned(small) == set()

    edit(package / "vectors" / "agreement.py", "norms == 0", "norms <= 0")
    assert planned(small) == {"compare_vectors", "judge_claims", "average_claims"}  # claims read its table

    again = small.run_small()
    assert again.returncode == 0, again.stderr
    assert planned(small) == set()


@slow
@pytest.mark.parametrize("how", ["interrupt", "kill a job"])
def test_a_stopped_study_resumes_without_repeating_what_was_finished(small, how):
    with small.start("vectors", "--cores", "2", *OF_SMALL) as process:
        job = small.seize("select_direction", process)
        # alone at work: what stands before it is finished, files and bookkeeping
        wait_until(lambda: list(small.jobs()) == [job], process)
        if how == "interrupt":
            os.killpg(process.pid, signal.SIGINT)
            os.kill(job, signal.SIGCONT)
        else:
            os.kill(job, signal.SIGKILL)
        said = process.communicate(timeout=120)[1]
        assert process.returncode != 0
    if how == "kill a job":
        assert "error in select_direction" in said
        assert "it was killed" in said
    assert "Logging error" not in said
    before = written(small)
    assert not [name for name in before if Path(name).name.startswith(".")]

    rest = small.run_small(target="vectors")
    assert rest.returncode == 0, rest.stderr
    after = written(small)
    assert {name: after[name] for name in before} == before
    assert planned(small, target="vectors") == set()


@slow
def test_ten_kills_at_random_moments_change_no_result(small, finished):
    undisturbed, seconds = finished
    moments = random.Random(0)
    kills = jobs_hit = 0
    while kills < 10:
        with small.start("tables", "--cores", str(moments.choice((1, 2))), *OF_SMALL) as process:
            try:
                process.wait(timeout=seconds * moments.uniform(0.02, 0.25))
            except subprocess.TimeoutExpired:
                jobs_hit += len(small.jobs())
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
            else:
                assert process.returncode == 0, process.communicate()[1]
                break
            assert "Traceback" not in process.communicate()[1]
    assert kills > 5
    assert jobs_hit > 5

    rest = small.run_small()
    assert rest.returncode == 0, rest.stderr
    mine, theirs = contents(small), contents(undisturbed)
    assert mine.keys() == theirs.keys()
    assert [name for name, content in mine.items() if content != theirs[name]] == []
    assert planned(small) == set()


@slow
def test_another_number_of_threads_changes_rounding_alone(small, finished):
    threads = [f"{rule}=2" for rule in rule_names(small.folder)]
    run = small.run_small("--set-threads", *threads)
    assert run.returncode == 0, run.stderr
    one, two = (project.folder / "results" for project in (finished[0], small))
    assert contents(small).keys() == contents(finished[0]).keys()
    for path in map(Path, contents(small)):
        first, second = one / path, two / path
        if path.suffix == ".parquet":
            assert_equal_but_rounding(percents_as_shares(first), percents_as_shares(second), name=str(path))
        elif path.suffix == ".safetensors":
            arrays = read_arrays(first), read_arrays(second)
            assert arrays[0].keys() == arrays[1].keys()
            for name, array in arrays[0].items():
                np.testing.assert_allclose(
                    array, arrays[1][name], rtol=0, atol=THREADS_ATOL, err_msg=str(path)
                )
        else:
            assert first.read_bytes() == second.read_bytes(), path


@slow
@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("none/base/verdicts.parquet", "verdicts.parquet is not a readable Parquet file"),
        ("dim/vector.safetensors", "vector.safetensors is not a readable safetensors file"),
    ],
)
def test_a_damaged_file_ends_its_jobs_with_one_line_and_nothing_finished_is_lost(finished_copy, file, line):
    damaged = finished_copy.folder / "results" / "pocket-llama" / file
    damaged.write_bytes(damaged.read_bytes()[:100])
    before = {name: time for name, time in written(finished_copy).items() if name.startswith(BEFORE_JUDGING)}
    result = finished_copy.run_small()
    assert result.returncode != 0
    said = result.stdout + result.stderr
    assert re.search(rf"error in \w+ \(model=pocket-llama[^:]*: {Path('results/pocket-llama') / file}", said)
    assert line in " ".join(said.split())
    assert "Traceback" not in said
    after = written(finished_copy)
    assert {name: after.get(name) for name in before} == before
