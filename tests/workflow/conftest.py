"""A copy of the repository to run the workflow in, with its own package, results and logs."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY

PARTS = (
    "Snakefile",
    "workflow",
    "profiles",
    "config",
    "resources",
    "envs",
    "tests",
    "LICENSE",
    "CITATION.cff",
)


ONE_MODEL = {"models": ["pocket-llama"]}
DIM = {"methods": ["dim"]}  # the way of a study is the same with more
METHOD_SECTIONS = ("vectors", "circuits", "attention")
OF_SMALL = ("--configfile", "config/mine.yaml")


@dataclass(frozen=True)
class Project:
    """A working copy."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """This Python's commands, the copy's package, no hub."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        package = str(self.folder / "workflow")
        return {
            **os.environ,
            "PATH": path,
            "PYTHONPATH": package,
            "HF_HUB_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run snakemake in the copy."""
        return subprocess.run(
            ["snakemake", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run_small(self, *arguments: str, target: str = "tables") -> subprocess.CompletedProcess[str]:
        """Run the small study."""
        return self.snakemake(target, "--cores", "2", *arguments, *OF_SMALL)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start snakemake in the copy, in a process group of its own."""
        return subprocess.Popen(
            ["snakemake", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # started in the background, the tests themselves may ignore Ctrl-C, and hand that down
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def jobs(self) -> dict[int, str]:
        """Rule scripts that run in the copy, by process id."""
        scripts = re.compile(re.escape(f"{self.folder}/.snakemake/scripts") + r"/[^.]+\.(\w+)\.py")
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # no process, or one that has just ended
                continue
            script = scripts.search(command)
            if entry.name.isdigit() and script and "bash" not in command:
                found[int(entry.name)] = script.group(1)
        return found

    def seize(self, rule: str, process: subprocess.Popen[str], *, but: frozenset[int] = frozenset()) -> int:
        """Process id of a job of the rule, halted (SIGSTOP) when first seen: it cannot end before it is disturbed."""
        seen: list[int] = []

        def one_runs() -> bool:
            seen[:] = [pid for pid, name in self.jobs().items() if name == rule and pid not in but]
            return seen != []

        wait_until(one_runs, process)
        os.kill(seen[0], signal.SIGSTOP)
        return seen[0]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that a running study does.

    Raises:
        AssertionError: if the study ends before, or five minutes pass.
    """
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the study did not get that far in five minutes"
        time.sleep(0.05)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy without results."""
    return copy_project(tmp_path)


@pytest.fixture
def small(project: Project) -> Project:
    """A copy whose study is the tiny one, on one model and by one method."""
    return make_small(project)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, float]:
    """The small study when it was run and nothing disturbed it, and the seconds that it took; tests leave it as it is."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, took = shared / "finished", shared / "finished.seconds"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker runs it for all
        if not took.exists():
            start = time.monotonic()
            run = make_small(copy_project(folder)).run_small()
            assert run.returncode == 0, run.stderr
            took.write_text(str(time.monotonic() - start))
    return Project(folder), float(took.read_text())


@pytest.fixture
def finished_copy(finished: tuple[Project, float], tmp_path: Path) -> Project:
    """The finished study, for a test to change; times of files are kept."""
    shutil.copytree(finished[0].folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(tmp_path)


def copy_project(folder: Path) -> Project:
    """What the workflow needs, without results, in a folder that is made if it is missing."""
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_symlink():
            (folder / part).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    return Project(folder)


def make_small(project: Project) -> Project:
    """Make the config of the small study."""
    tiny = yaml.safe_load((project.folder / "config" / "tiny.yaml").read_text("utf-8"))
    mine = {**tiny, **ONE_MODEL, **{section: {**tiny[section], **DIM} for section in METHOD_SECTIONS}}
    (project.folder / "config" / "mine.yaml").write_text(yaml.safe_dump(mine), "utf-8")
    return project
