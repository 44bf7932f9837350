"""Jobs of rules: bad input is one line, bugs keep their traceback, the log holds both."""

from __future__ import annotations

import errno
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steering_study.store.artifacts import sha256_of
from steering_study.store.job import explain_silence, job, logger

SCRIPT = """
import resource
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from steering_study.store.artifacts import write_arrays
from steering_study.store.job import job, logger

with job(SimpleNamespace(rule="train", wildcards={{}}, params={{}}, input=[], log=["{log}"], threads=1)):
    logger.info("step 1")
    {lines}
"""


@pytest.fixture
def snakemake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What a script gets, with one input file; logging, threads and environment are restored afterwards."""
    (tmp_path / "in.txt").write_text("input")
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    # pytest puts handlers of its own on the root, and basicConfig leaves a root with handlers alone
    monkeypatch.setattr(logging, "basicConfig", partial(logging.basicConfig, force=True))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    yield SimpleNamespace(
        rule="judge_responses",
        wildcards={"model": "mine", "method": "dim"},
        params={"code": "0a1b", "quantile": 0.01},
        input=[str(tmp_path / "in.txt")],
        log=[str(tmp_path / "logs/deep/job.log")],
        threads=3,
    )
    for handler in logging.root.handlers:
        handler.close()


def log_of(snakemake: Any) -> str:
    return Path(snakemake.log[0]).read_text("utf-8")


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_bad_input_ends_with_one_line(snakemake, error):
    with pytest.raises(SystemExit) as ended, job(snakemake):
        raise error("expected this,\n  found that")
    assert ended.value.code == "error in judge_responses (model=mine, method=dim): expected this, found that"


def test_line_of_a_rule_without_wildcards_names_the_rule(snakemake):
    snakemake.wildcards = {}
    with pytest.raises(SystemExit) as ended, job(snakemake):
        raise ValueError("no")
    assert ended.value.code == "error in judge_responses: no"


def test_traceback_of_bad_input_is_kept_beside_the_log(snakemake):
    with pytest.raises(SystemExit), job(snakemake):
        raise ValueError("expected this")
    assert log_of(snakemake).splitlines() == [
        "error in judge_responses (model=mine, method=dim): expected this"
    ]
    kept = Path(snakemake.log[0]).with_suffix(".traceback").read_text("utf-8")
    assert "Traceback" in kept
    assert "ValueError: expected this" in kept


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.ENOSPC, "a.parquet: No space left on device; free space on that disk and run again"),
        (
            errno.EROFS,
            "a.parquet: Read-only file system; let that folder take files, or run in a copy that does",
        ),
        (errno.EACCES, "a.parquet: Permission denied; give yourself the right to it"),
        (errno.EPIPE, "[Errno 32] Broken pipe: 'a.parquet'"),
    ],
)
def test_a_disk_that_refuses_is_named_with_what_to_do(snakemake, number, line):
    with pytest.raises(SystemExit) as ended, job(snakemake):
        raise OSError(number, os.strerror(number), "a.parquet")
    assert ended.value.code.startswith(f"error in judge_responses (model=mine, method=dim): {line}")


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "read-only"])
def test_a_disk_that_takes_no_log_leaves_the_line(mounted, is_full, tmp_path):
    folder = mounted()
    if is_full:
        (folder / "logs").mkdir()
        with suppress(OSError):
            (folder / "filled").write_bytes(bytes(2**21))
    else:
        mounted("remount,ro")
    said = run_script(tmp_path, "raise ValueError('expected this')", log=folder / "logs" / "job.log")
    line = (
        "expected this"
        if is_full
        else f"{folder / 'logs'}: Read-only file system; let that folder take files"
    )
    assert said.startswith(f"error in train: {line}")
    assert said.count("\n") == 1


def test_a_limit_on_files_ends_a_job_with_one_line(tmp_path):
    said = run_script(
        tmp_path,
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "write_arrays(Path('results/v.safetensors'), {'vector': np.zeros(10_000)})",
        log=Path("job.log"),
    )
    assert said == (
        "error in train: results/v.safetensors: File too large; "
        "raise the limit on the size of files (ulimit -f) and run again\n"
    )
    assert list((tmp_path / "results").iterdir()) == []


def run_script(folder: Path, lines: str, *, log: Path) -> str:
    """What a job that fails in a process of its own says on the terminal."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(lines=lines, log=log)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    return run.stderr


@pytest.mark.parametrize("said", ["", "step 50\n"])
def test_the_log_of_a_job_that_was_killed_gets_a_line(tmp_path, said):
    log = tmp_path / "logs" / "job.log"
    if said:
        log.parent.mkdir()
        log.write_text(said)
    explain_silence("train_vectors", log)
    explain_silence("train_vectors", log)  # once is enough
    before, line = log.read_text()[: len(said)], log.read_text()[len(said) :]
    assert before == said
    assert re.fullmatch(
        r"error in train_vectors: expected .*, found neither: it was killed.*; run again.*\n", line
    )


@pytest.mark.parametrize("error", [ValueError, KeyError])
def test_the_log_of_a_job_that_said_why_stays(snakemake, error):
    with pytest.raises((SystemExit, KeyError)), job(snakemake):
        raise error("why")
    before = log_of(snakemake)
    explain_silence("judge_responses", Path(snakemake.log[0]))
    assert log_of(snakemake) == before


@pytest.mark.parametrize("error", [KeyError, AssertionError, KeyboardInterrupt])
def test_other_exceptions_pass_through_and_are_logged(snakemake, error):
    with pytest.raises(error, match="bug"), job(snakemake):
        raise error("bug")
    assert error.__name__ in log_of(snakemake)


def test_missing_input_ends_with_one_line(snakemake):
    snakemake.input = ["nowhere.parquet"]
    with pytest.raises(SystemExit, match=r"error in judge_responses .*nowhere\.parquet"), job(snakemake):
        pass


def test_messages_go_to_the_log(snakemake):
    with job(snakemake):
        logger.info("step 50")
    assert log_of(snakemake) == "step 50\n"


def test_log_of_an_earlier_run_is_replaced(snakemake):
    Path(snakemake.log[0]).parent.mkdir(parents=True)
    Path(snakemake.log[0]).write_text("old")
    with job(snakemake):
        pass
    assert log_of(snakemake) == ""


def test_provenance_names_rule_wildcards_params_and_inputs(snakemake):
    with job(snakemake) as provenance:
        assert provenance == {
            "rule": "judge_responses",
            "wildcards": {"model": "mine", "method": "dim"},
            "params": {"code": "0a1b", "quantile": 0.01},
            "inputs": {snakemake.input[0]: sha256_of(Path(snakemake.input[0]))},
        }


def test_threads_are_those_that_the_scheduler_granted(snakemake, monkeypatch):
    told = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=told.append))
    with job(snakemake):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("3", "3")
    assert told == [3]
