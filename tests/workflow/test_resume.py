"""Runs of the tiny study that are killed, resumed, edited and fed bad files."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import wait_until

slow = pytest.mark.slow

ONE_MODEL = {"models": ["pocket-llama"]}
DIM = {"methods": ["dim"]}  # the way of a study is the same with more
METHOD_SECTIONS = ("vectors", "circuits", "attention")
TABLES = "tables"


@pytest.fixture
def small(project):
    """A copy whose study is the tiny one, on one model and by one method."""
    tiny = yaml.safe_load((project.folder / "config" / "tiny.yaml").read_text("utf-8"))
    mine = {**tiny, **ONE_MODEL, **{section: {**tiny[section], **DIM} for section in METHOD_SECTIONS}}
    (project.folder / "config" / "mine.yaml").write_text(yaml.safe_dump(mine), "utf-8")
    return project


def run(project, *arguments):
    return project.snakemake(TABLES, "--cores", "2", *arguments, "--configfile", "config/mine.yaml")


def finished(project) -> dict[str, int]:
    """Results by name, with the time at which each was written."""
    root = project.folder / "results"
    return {str(p.relative_to(root)): p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}


def planned(project) -> set[str]:
    """Rules that a dry run would execute."""
    output = run(project, "-n")
    assert output.returncode == 0, output.stderr
    rows = re.findall(r"^ ([a-z ]+?) +\d+ *$", output.stdout + output.stderr, re.M)
    return {row.replace(" ", "_") for row in rows} - {TABLES, "total"}


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")


def test_the_study_of_these_tests_plans(small):
    assert {"select_direction", "compare_vectors", "freeze_attention"} <= planned(small)


@slow
def test_a_finished_study_has_nothing_to_do_and_an_edit_reruns_the_rule_that_uses_it(small):
    first = run(small)
    assert first.returncode == 0, first.stderr
    assert planned(small) == set()

    package = small.folder / "workflow" / "steering_study"
    edit(
        package / "overlap.py",
        '"""Cosine similarity, in float64.',
        '"""Cosine similarity, in double precision.',
    )
    assert planned(small) == set()

    edit(package / "overlap.py", "norms == 0", "norms <= 0")
    assert planned(small) == {"compare_vectors", "judge_claims", "average_claims"}  # claims read its table

    again = run(small)
    assert again.returncode == 0, again.stderr
    assert planned(small) == set()


@slow
@pytest.mark.parametrize("how", ["interrupt", "kill a job"])
def test_a_stopped_study_resumes_without_repeating_what_was_finished(small, how):
    with small.start(TABLES, "--cores", "2", "--configfile", "config/mine.yaml") as process:
        # alone at work: what stands before it is finished, files and bookkeeping
        wait_until(lambda: list(small.jobs().values()) == ["select_direction"], process)
        if how == "interrupt":
            os.killpg(process.pid, signal.SIGINT)
        else:
            os.kill(next(iter(small.jobs())), signal.SIGKILL)
        process.communicate(timeout=120)
        assert process.returncode != 0
    before = finished(small)
    assert not [name for name in before if Path(name).name.startswith(".")]

    rest = run(small)
    assert rest.returncode == 0, rest.stderr
    after = finished(small)
    assert {name: after[name] for name in before} == before
    assert planned(small) == set()


@slow
def test_a_damaged_table_ends_its_job_with_one_line(small):
    assert run(small).returncode == 0
    table = small.folder / "results" / "pocket-llama" / "none" / "base" / "verdicts.parquet"
    table.write_bytes(table.read_bytes()[:100])
    result = run(small)
    assert result.returncode != 0
    assert "verdicts.parquet is not a readable Parquet file" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
