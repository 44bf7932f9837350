"""Run the tests of results on the artifacts of this study; the report depends on their outcome."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from steering_study.store.artifacts import write_json
from steering_study.store.job import job, logger

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    tests: Path,
    *,
    models: Sequence[str],
    methods: Sequence[str],
    circuit_methods: Sequence[str],
    attention_methods: Sequence[str],
    sparse_methods: Sequence[str],
    outcome: Path,
) -> None:
    """Write what was checked.

    Raises:
        ValueError: if a check fails.
    """
    listing = outcome.with_suffix(".xml")
    command = [sys.executable, "-m", "pytest", str(tests), "-q", "-c", os.devnull, "--rootdir", "."]
    command += ["-p", "no:cacheprovider", f"--junitxml={listing}"]
    environment = {
        **os.environ,
        "STEERING_STUDY_MODELS": ",".join(models),
        "STEERING_STUDY_METHODS": ",".join(methods),
        "STEERING_STUDY_CIRCUIT_METHODS": ",".join(circuit_methods),
        "STEERING_STUDY_ATTENTION_METHODS": ",".join(attention_methods),
        "STEERING_STUDY_SPARSE_METHODS": ",".join(sparse_methods),
        "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")]),
    }
    outcome.parent.mkdir(parents=True, exist_ok=True)
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    logger.info(run.stdout + run.stderr)
    if run.returncode != 0:
        raise ValueError(
            f"checks of the results failed: {last_line(run.stdout)}; the log of this rule shows which"
        )
    cases = ElementTree.parse(listing).getroot().iter("testcase")
    names = sorted(str(case.get("name")) for case in cases)
    listing.unlink()
    write_json(outcome, {"passed": names})


def last_line(text: str) -> str:
    """The summary that pytest ends with."""
    return text.strip().splitlines()[-1] if text.strip() else "no output"


if "snakemake" in globals():
    with job(snakemake):
        main(
            Path(snakemake.params.tests),
            models=snakemake.params.models,
            methods=snakemake.params.methods,
            circuit_methods=snakemake.params.circuit_methods,
            attention_methods=snakemake.params.attention_methods,
            sparse_methods=snakemake.params.sparse_methods,
            outcome=Path(snakemake.output.outcome),
        )
