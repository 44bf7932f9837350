"""Every rule on every family: one study of six tiny models that refuse and answer, to its report.

Jobs of some seconds would spend most of them importing torch, so Snakemake plans, checks and stores them as ever, but runs their
scripts in its own process (`RUN_HERE`): 400 jobs in the time of forty.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from steering_study.store.artifacts import read_arrays, read_table, table_of
from steering_study.store.schema import Table
from tests.conftest import EVERY_FAMILY
from tests.tables import TABLES
from tests.workflow.family_models import CONTEXTS, STEER_LAYER, save_model, write_prompts

pytestmark = pytest.mark.slow

CONFIG = "config/families.yaml"
MODELS = [f"tiny-{family}" for family in EVERY_FAMILY]
RUN_HERE = """
import os, runpy, sys
from snakemake.benchmark import benchmarked
from snakemake.cli import main
from snakemake.script import PythonScript

def run_here(self, script, edit=False):
    path = list(sys.path)  # each script adds to it
    try:
        with benchmarked(os.getpid(), self.bench_record):
            runpy.run_path(script)
    except SystemExit as end:
        raise RuntimeError(str(end)) from end
    finally:
        sys.path[:] = path

PythonScript.execute_script = run_here
main(sys.argv[1:])
"""
DIRECTION = {"layer": STEER_LAYER, "position": -1, "induce": 1.0, "bypass": -1.0}
HALF = "tiny-gemma2"  # the one that every rule runs in half precision, as the published models do
STUDY = {
    "models": MODELS,
    "model_options": {
        name: {
            "source": f"resources/models/{name}",
            "dtype": "bfloat16" if name == HALF else "float32",
            "refusal_request": CONTEXTS["refused"],
            "direction": DIRECTION,
        }
        for name in MODELS
    },
    "prompts": {
        "source": "files",
        "files": [
            {
                "name": "world",
                "path": "resources/prompts/world.csv",
                "text": "text",
                "label_column": "label",
                "label_values": {"harmful": "harmful", "harmless": "harmless"},
                "role": "pool",
            }
        ],
        "sizes": {"train": 10, "validation": 10, "augmentation": 0},
        "test_sizes": {"files": {"world_harmful": 4, "world_harmless": 4}},
        "main_sets": {"files": {"harmful": "world_harmful", "harmless": "world_harmless"}},
    },
    "generation": {"max_new_tokens": 16},
    "vectors": {
        "methods": ["dim", "ntp", "random"],
        "layers": [0.5],
        "dim": {"max_kl": 100.0, "coefficients": {"induce": [0.7, 1.0], "bypass": [-0.7, -1.0]}},
        "search": {"max_tokens": 8, "epochs": 2, "learning_rates": [0.1], "trials_per_job": 1},
    },
    "circuits": {
        "methods": ["dim"],
        "responses": 2,
        "metrics": ["logit_difference", "kl_0"],
        "steps": 2,
        "sizes_percent": [20, 100],
        "random_draws": 1,
        "prompts": 2,
        "interchange": {"responses": 1, "edges_per_kind": 1},
    },
    "attention": {
        "methods": ["dim"],
        "prompts": 4,
        "ablations": {
            "all": ["none", "qk", "ov", "svv", "mlp"],
            "prompt": ["none"],
            "response": ["none", "ov"],
        },
        "top_heads": 1,
        "neurons": {"responses": 1, "shown": 2, "tokens": 2},
        "maps": {"heads": 1, "positions": 2},
    },
    "sparsity": {
        "prompts": 1,
        "max_new_tokens": 8,
        "percents": [50],
        "dropout": {"draws": 2, "prompts": 1},
        "variants": {"percents": [50], "criteria": ["gradient"], "factors": [1, 2], "prompts": 1},
        "shared_percents": [50],
        "circuits": {"percents": [50], "responses": 1},
        "kl_prompts": 1,
        "top_tokens": 2,
    },
    "judges": {"label_prompts": 4},
}


# By table, what may be NaN: values that do not apply to a row, as its schema says
MAY_LACK = {
    "candidates": {"kl", "ablation"},  # not computed where another filter fails
    "claims": {"value", "low", "high", "chance", "p_value"},
    "claim_means": {"value", "low", "high"},
    "nodes": {"moved"},
    "svv_concepts": {"ie"},
    "training": {"loss"},
    "trials": {"phi", "beta_q10", "beta_q50", "beta_q90"},
    "sparse_settings": {"threshold", "target_percent"},
    "sparse_kl": {"threshold", "target_percent"},
    "sparsity": {"threshold", "target_percent"},
    "sparsity_kl": {"threshold", "target_percent"},
    "iou": {"threshold"},
    "windows": {"lowest", "highest", "factor"},  # without a window
    "quality": {"low", "high", "at_least", "at_most"},
    "candidate_quality": {"low", "high", "at_least", "at_most"},
}
MAY_BE_EMPTY = {
    *("labelled_texts", "labelled_verdicts", "judge_errors"),  # of the bundled corpus
    *("iou", "overlap"),  # of two methods
    "candidate_flips",  # of `selection: flips`
}


@pytest.fixture
def finished(project) -> Path:
    """Folder of the study and of the measures that are made on request, run to the end."""
    for family in EVERY_FAMILY:
        save_model(family, project.folder / f"resources/models/tiny-{family}")
    write_prompts(project.folder / "resources/prompts/world.csv")
    (project.folder / CONFIG).write_text(yaml.safe_dump(STUDY), "utf-8")
    run = subprocess.run(
        [sys.executable, "-c", RUN_HERE, "all", "model_quality", "--cores", "1", "--configfile", CONFIG],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return project.folder


def rules_of_a_model(folder: Path) -> set[str]:
    """Rules with a script whose outputs are one model's."""
    texts = [path.read_text("utf-8") for path in (folder / "workflow/rules").glob("*.smk")]
    rules = [rule for text in texts for rule in re.split(r"^rule ", text, flags=re.M)[1:]]
    return {rule.split(":")[0] for rule in rules if "script:" in rule and "logs/{model}/" in rule}


def test_every_rule_runs_on_every_family_and_no_number_is_missing(finished):
    rules = rules_of_a_model(finished)
    assert len(rules) > 25
    for model in MODELS:
        files = (finished / "logs/benchmarks" / model).rglob("*.jsonl")
        ran = {re.sub(r"_\d+$", "", path.stem) for path in files}  # jobs of the search are numbered
        assert rules - ran == {"unpack_gguf"}, model  # they are folders, not files
    assert (finished / "reports/index.html").stat().st_size > 0
    tables: dict[str, set[str]] = {model: set() for model in MODELS}
    for path in sorted((finished / "results").rglob("*.parquet")):
        check_table(path, table_of(path, TABLES))
        for model in set(MODELS) & set(path.parts):
            tables[model].add(str(path).split(model)[1])
    assert len(tables[MODELS[0]]) > 40
    assert all(tables[model] == tables[MODELS[0]] for model in MODELS)
    for path in (finished / "results").rglob("*.safetensors"):
        assert read_arrays(path), path  # refuses NaN and infinity


def check_table(path: Path, table: Table) -> None:
    """A table has its schema and rows, and numbers wherever they apply."""
    frame, name = read_table(path, table), table.name
    assert len(frame) > 0 or name in MAY_BE_EMPTY, f"{path} is empty"
    for column in frame.select_dtypes("number"):
        values = frame[column].to_numpy(dtype=float)
        assert not np.isinf(values).any(), f"{path}: {column}"
        assert column in MAY_LACK.get(name, ()) or not np.isnan(values).any(), f"{path}: {column}"
