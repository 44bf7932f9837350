"""What every rule script shares: its log, its one line for bad input, its provenance."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from steering_study.store.artifacts import sha256_of
from steering_study.store.presence import present

logger = logging.getLogger("steering_study")

REMEDIES = {
    errno.ENOSPC: "free space on that disk and run again (docs/running/resources.md, Disk)",
    errno.EDQUOT: "free space under that quota and run again (docs/running/resources.md, Disk)",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run again",
    errno.EROFS: "let that folder take files, or run in a copy that does",
    errno.EACCES: "give yourself the right to it, or run in a copy that is yours",
    errno.ENOENT: "it was there when the run was planned; run again",
}


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a script's `main` as a job of a rule; gives the provenance that its outputs carry.

    Messages go to the rule's log. A `ValueError` or `OSError`, which is how this
    package reports bad input and a disk that refuses, ends the job with one line; its traceback is kept beside the
    log, as <log>.traceback. Anything else is a bug and keeps its traceback on the terminal.
    """
    log = Path(snakemake.log[0])
    _limit_threads(snakemake.threads)
    try:
        with present():
            _open_log(log)
            yield provenance(snakemake)
    except (ValueError, OSError) as error:
        line = _one_line(snakemake, error)
        logger.info(line)
        with suppress(OSError):  # where the disk is full, the line is all there is
            log.with_suffix(".traceback").write_text(traceback.format_exc(), "utf-8")
        sys.exit(line)
    except BaseException:
        logger.info(traceback.format_exc())
        raise


def explain_silence(rule: str, log: Path) -> None:
    """Give the log of a failed job that ended without a line of its own one that says what that means."""
    said = log.read_text("utf-8", errors="replace") if log.exists() else ""
    if re.search(r"^(error in |Traceback )", said, re.MULTILINE) is None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(
                f"error in {rule}: expected a result or a line of the job, found neither: it was killed, mostly for want "
                "of memory, or could not start; run again, with --cores 1 or a smaller batch (docs/running/troubleshooting.md)\n"
            )


def provenance(snakemake: Any) -> dict[str, Any]:
    """Rule, wildcards, params (the code digest among them) and the sha256 of every input file."""
    return {
        "rule": snakemake.rule,
        "wildcards": dict(snakemake.wildcards.items()),
        "params": dict(snakemake.params.items()),
        "inputs": {str(path): sha256_of(Path(path)) for path in snakemake.input},
    }


def _open_log(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.raiseExceptions = (
        False  # a log that the disk does not take is no reason for a page on the terminal
    )
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[logging.FileHandler(log, mode="w")], force=True
    )


def _limit_threads(threads: int) -> None:
    """Give BLAS and torch the threads that the scheduler granted."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _one_line(snakemake: Any, error: Exception) -> str:
    names = ", ".join(f"{key}={value}" for key, value in snakemake.wildcards.items())
    where = f"{snakemake.rule} ({names})" if names else snakemake.rule
    found = str(error)
    if isinstance(error, OSError) and error.errno in REMEDIES:
        found = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        found = f"{found}; {REMEDIES[error.errno]}"
    return f"error in {where}: {' '.join(found.split())}"
