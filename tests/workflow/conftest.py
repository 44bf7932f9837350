"""A copy of the repository to run the workflow in, with its own package, results and logs."""

from __future__ import annotations

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


def copy_repository(folder: Path) -> None:
    """What the workflow needs, without results."""
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_symlink():
            (folder / part).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy without results."""
    copy_repository(tmp_path)
    return Project(tmp_path)
