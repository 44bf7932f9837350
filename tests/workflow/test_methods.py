"""A method of the user's own, by the documented extension point, through a search that is killed halfway and resumed."""

from __future__ import annotations

import os
import re
import signal

import pandas as pd
import pytest
import yaml

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

MODEL, CONFIG = "pocket-llama", "config/mine.yaml"
TRIALS = f"results/{MODEL}/margin/trials"


@pytest.fixture
def extended(project):
    """A copy with the file and the entry of docs/vectors.md, and a search of three trials, a job each."""
    page = (REPOSITORY / "docs" / "vectors.md").read_text("utf-8")
    source = re.search(r"```python\n# (\S+)\n(.*?)```", page, re.S)
    entry = re.search(r"```yaml\n(.*?)```", page, re.S)
    assert source
    assert entry
    (project.folder / source.group(1)).write_text(source.group(2), "utf-8")
    tiny = yaml.safe_load((project.folder / "config" / "tiny.yaml").read_text("utf-8"))
    asked = yaml.safe_load(entry.group(1))["vectors"]
    rates = {"learning_rates": [0.01, 0.02, 0.04], "trials_per_job": 1}
    vectors = {**tiny["vectors"], **asked, "search": {**tiny["vectors"]["search"], **rates}}
    mine = {**tiny, "models": [MODEL], "vectors": vectors}
    (project.folder / CONFIG).write_text(yaml.safe_dump(mine), "utf-8")
    return project


def test_a_method_of_ones_own_is_trained_in_a_search_that_resumes_and_is_judged_like_the_others(extended):
    verdicts = f"results/{MODEL}/margin/test/verdicts.parquet"
    with extended.start(
        f"results/{MODEL}/margin/vector.json", "--cores", "1", "--configfile", CONFIG
    ) as process:
        job = extended.seize("train_vectors", process)
        os.kill(job, signal.SIGCONT)
        # one job at a time: when a second one runs, the first one's files and bookkeeping are finished
        os.kill(extended.seize("train_vectors", process, but=frozenset({job})), signal.SIGKILL)
        process.communicate(timeout=120)
        assert process.returncode != 0
    finished = {path: path.stat().st_mtime_ns for path in (extended.folder / TRIALS).iterdir()}
    assert 1 <= len({path.name.split(".")[0] for path in finished}) < 3

    rest = extended.snakemake(verdicts, "--cores", "2", "--configfile", CONFIG)
    assert rest.returncode == 0, rest.stderr
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    trials = pd.read_parquet(extended.folder / f"results/{MODEL}/margin/trials.parquet")
    assert sorted(trials["learning_rate"]) == [0.01, 0.02, 0.04]
    assert trials["selected"].sum() == 1
    table = pd.read_parquet(extended.folder / verdicts)
    assert set(table["method"]) == {"margin"}
    assert set(table["condition"]) == {"induce", "bypass"}
