"""Presence in a folder: a lock of nobody goes, a lock of somebody stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from steering_study.store.presence import arrive, present

STAY = "from steering_study.store.presence import arrive; held = arrive(); print('here', flush=True); input()"
JOB = "from steering_study.store.presence import present\nwith present():\n    print('here', flush=True); input()"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the lock of a killed run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.output.lock").write_text("results/a.parquet\n")
    return tmp_path


def start(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def is_locked(folder: Path) -> bool:
    return any((folder / ".snakemake").glob("locks/*.lock"))


def test_a_lock_of_nobody_is_removed_and_told_once(folder):
    first, was_left = arrive()
    assert was_left
    assert not is_locked(folder)
    first.close()
    second, was_left = arrive()
    assert not was_left
    second.close()


@pytest.mark.parametrize("code", [STAY, JOB], ids=["another run", "a job that outlived its run"])
def test_a_lock_stays_while_somebody_is_at_work_and_goes_once_they_are_killed(folder, code):
    (folder / ".snakemake/locks/0.output.lock").unlink() if code == STAY else None
    with start(code) as other:
        (folder / ".snakemake/locks").mkdir(exist_ok=True)
        (folder / ".snakemake/locks/0.output.lock").write_text("results/a.parquet\n")
        mine, was_left = arrive()
        mine.close()
        assert not was_left
        assert is_locked(folder)
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    mine, was_left = arrive()
    mine.close()
    assert was_left
    assert not is_locked(folder)


def test_a_job_outside_of_a_run_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with present():
        pass
    assert list(tmp_path.iterdir()) == []
