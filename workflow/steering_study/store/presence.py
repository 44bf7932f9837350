"""Who is at work in this folder.

Every run and every job holds a shared lock on one file; the system lets go of it when a process ends, however it ends.
A run that finds nobody else there knows that Snakemake's own lock, which a killed run leaves behind, is nobody's.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

HOME = Path(".snakemake")  # of the working directory
FILE, LOCKS = "presence", "locks"


def arrive(home: Path = HOME) -> tuple[IO[bytes], bool]:
    """Hold the folder until the file that is given back is closed; remove a lock that a killed run left.

    Returns:
        The open file, and whether there was such a lock.
    """
    home.mkdir(exist_ok=True)
    file = (home / FILE).open("ab")
    left = False
    with suppress(OSError):  # somebody else is here, or the file system knows no locks: Snakemake decides
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        left = any((home / LOCKS).glob("*.lock"))
        shutil.rmtree(home / LOCKS, ignore_errors=True)
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH)
    return file, left


@contextmanager
def present(home: Path = HOME) -> Iterator[None]:
    """Hold the folder for as long as a job of it runs; where there is no run, there is nothing to hold."""
    if not home.is_dir():
        yield
        return
    with (home / FILE).open("ab") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)
        yield
