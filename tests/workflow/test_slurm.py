"""The SLURM profile: what it plans, and runs of the tiny study through a real SLURM of one node on the loopback interface."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import Project, copy_project, make_small, wait_until

ONE_NODE = Path(__file__).parent / "slurm" / "one-node.sh"
PACKAGES_MISSING = 4  # exit status of one-node.sh
PROFILE = ("--workflow-profile", "profiles/slurm")
CONFIG = ("--configfile", "config/mine.yaml")
VECTOR = "results/pocket-llama/dim/vector.json"
CYCLE = ("generate_steered", "judge_responses", "choose_coefficient")  # a sweep, its verdicts, the test run
NOTEBOOK = "reports/notebooks/steering.html"


def profile_of(project: Project) -> dict:
    return yaml.safe_load((project.folder / "profiles/slurm/profile.yaml").read_text("utf-8"))


def lines_of(run: subprocess.CompletedProcess[str]) -> str:
    return run.stdout + run.stderr


@pytest.mark.parametrize("way", ["--workflow-profile", "--profile"])
def test_the_whole_study_plans_with_the_profile_and_its_groups_are_closed(project, way):
    run = project.snakemake("-n", way, "profiles/slurm")
    assert run.returncode == 0, lines_of(run)
    assert re.search(r"generate.base +2\b", lines_of(run), re.M)


def test_a_group_that_would_wait_for_itself_is_refused(project):
    """What the test above relies on: planning looks at groups."""
    run = project.snakemake("-n", *PROFILE, "--groups", *(f"{rule}=one" for rule in CYCLE))
    assert run.returncode != 0
    assert "Error in group one" in lines_of(run)


def test_rules_that_the_profile_groups_exist(project):
    listed = {line.split()[0] for line in project.snakemake("--list-rules").stdout.splitlines() if line}
    assert set(profile_of(project)["groups"]) <= listed


def test_no_rule_of_a_group_runs_a_model_since_memory_does_not_grow_there(project):
    text = "".join(path.read_text("utf-8") for path in (project.folder / "workflow/rules").glob("*.smk"))
    growing = {
        rule.split(":")[0]
        for rule in re.split(r"^rule ", text, flags=re.M)[1:]
        if re.search(r"mem_mb=memory", rule)
    }
    assert {"generate_base", "train_vectors", "build_circuits"} <= growing
    assert not growing & set(profile_of(project)["groups"])


@dataclass(frozen=True)
class OnCluster(Project):
    """A working copy whose commands see the cluster."""

    state: Path

    @property
    def environment(self) -> dict[str, str]:
        """The client commands of the cluster go first."""
        found = super().environment
        return {
            **found,
            "PATH": f"{self.state / 'bin'}{os.pathsep}{found['PATH']}",
            "SLURM_CONF": str(self.state / "etc" / "slurm.conf"),
        }

    def client(self, *command: str) -> str:
        """Output of a client command."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        ).stdout

    def submitted(self) -> list[dict[str, str]]:
        """Every job that the cluster has seen, with the rule or group that it is for."""
        jobs = []
        for line in self.client("scontrol", "show", "jobs", "--oneliner").splitlines():
            fields = dict(re.findall(r"(\w+)=(\S*)", line))
            if "JobId" in fields:
                jobs.append({**fields, "rule": rule_of(fields)})
        return sorted(jobs, key=lambda job: int(job["JobId"]))

    def running(self, rule: str) -> list[str]:
        """Ids of a rule's jobs that run."""
        return [
            job["JobId"] for job in self.submitted() if (job["rule"], job["JobState"]) == (rule, "RUNNING")
        ]


def rule_of(job: dict[str, str]) -> str:
    """Rule or group of a job, from the folder of its SLURM log."""
    found = re.search(r"/(?:rule|group)_(\w+)/", job["StdOut"])
    assert found, job
    return found.group(1)


def memory_mb(job: dict[str, str]) -> int:
    """What a job asked for."""
    return int(job["MinMemoryNode"].removesuffix("M"))


def one_node(state: Path, action: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(ONE_NODE), action],
        env={**os.environ, "SLURM_ONE_NODE_DIR": str(state), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """State folder of a cluster that runs: 4 CPUs, 16 GB and 1 GPU, as far as SLURM knows."""
    required = os.environ.get("STEERING_STUDY_SLURM") == "1"
    state = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: sockets have short paths
    settings = {"CPUS": "4", "MEM": "16000", "GPUS": "1", "APT": "1" if required else "0"}
    try:
        started = one_node(
            state, "start", **{f"SLURM_ONE_NODE_{key}": value for key, value in settings.items()}
        )
        if started.returncode == PACKAGES_MISSING and not required:
            pytest.skip(f"{started.stderr.strip()}; STEERING_STUDY_SLURM=1 installs them, as root on Debian")
        assert started.returncode == 0, started.stderr
        yield state
    finally:
        one_node(state, "stop")
        shutil.rmtree(state)


def contents(folder: Path) -> dict[str, bytes]:
    """Tables, vectors and cards under `results/`, and the report's frames, byte by byte."""
    files = [*(folder / "results").rglob("*"), *(folder / "reports" / "tables").rglob("*.csv")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.is_file()}


def written(folder: Path) -> dict[Path, int]:
    """Results with the time at which each was written."""
    return {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.slurm
def test_a_run_through_slurm_outlives_lost_jobs_and_gives_the_tables_of_a_local_run(cluster, tmp_path):
    make_small(copy_project(tmp_path / "cluster"))
    there = OnCluster(tmp_path / "cluster", state=cluster)
    often = (*PROFILE, *CONFIG, "--slurm-init-seconds-before-status-checks", "3")

    # one rule asks for too little at first, one for a GPU
    asked = ("extract_activations:mem_mb=500*attempt*attempt", "generate_base:gpu=1")
    first = there.snakemake(VECTOR, *often, "--set-resources", *asked)
    assert first.returncode == 0, lines_of(first)
    seen = there.submitted()
    assert sorted(job["rule"] for job in seen) == [
        "extract_activations",
        "extract_activations",
        "generate_base",
        "select_direction",
    ]
    killed, again = (job for job in seen if job["rule"] == "extract_activations")
    assert "Exceeded job memory limit" in Path(killed["StdOut"]).read_text("utf-8")
    assert (killed["JobState"], again["JobState"]) == ("FAILED", "COMPLETED")
    assert (memory_mb(killed), memory_mb(again)) == (500, 2000)
    assert (killed["TimeLimit"], again["TimeLimit"]) == ("00:31:00", "00:46:00")
    assert {job["rule"] for job in seen if "gpu" in job.get("TresPerJob", "")} == {"generate_base"}
    base, selection = (job for job in seen if job["rule"] in ("generate_base", "select_direction"))
    assert 1000 < memory_mb(selection) < memory_mb(base)

    # a job is cancelled from outside
    with there.start(NOTEBOOK, *often, "--retries", "0") as process:
        wait_until(lambda: there.running("generate_steered") != [], process)
        there.client("scancel", *there.running("generate_steered"))
        said = process.communicate(timeout=300)[1]
    assert process.returncode != 0
    (line,) = (line for line in said.splitlines() if "failed, SLURM status is" in line)
    assert "'CANCELLED'" in line
    before = written(there.folder)
    assert (there.folder / VECTOR) in before
    assert not list((there.folder / "results").rglob("*/sweep/responses.parquet"))

    # the same command takes up what is missing
    n_before = len(there.submitted())
    rest = there.snakemake(NOTEBOOK, *often)
    assert rest.returncode == 0, lines_of(rest)
    assert {path: time for path, time in written(there.folder).items() if path in before} == before
    kinds = [job["rule"].split("_")[0] for job in there.submitted()[n_before:]]
    # sweep, test and layers; side effects; attack success, and layers; figures and notebook in one, at the end
    assert Counter(kinds) == {"generate": 3, "measure": 1, "summaries": 2, "report": 1}
    assert kinds[-1] == "report"

    make_small(copy_project(tmp_path / "local"))
    here = Project(tmp_path / "local")
    run = here.snakemake(NOTEBOOK, "--cores", "2", *CONFIG)
    assert run.returncode == 0, lines_of(run)
    assert contents(there.folder) == contents(here.folder)
    assert len(contents(here.folder)) > 20
