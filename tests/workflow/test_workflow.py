"""The workflow as a user meets it: plans, targets, profile, lint, and one line for each mistake. Hardly a job runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
import yaml

from tests.conftest import REPOSITORY


def lines_of(run) -> str:
    return run.stdout + run.stderr


def test_plain_dry_run_uses_the_default_profile_and_plans_the_study(project):
    run = project.snakemake("-n")
    assert run.returncode == 0, lines_of(run)
    assert "profiles/default" in lines_of(run)
    assert re.search(r"generate.base +2\b", lines_of(run), re.M)


def test_a_fresh_copy_never_trains_the_bundled_models(project):
    assert not re.search(r"train.bundled", lines_of(project.snakemake("-n")))
    asked = project.snakemake("-n", "train_bundled_models")
    assert re.search(r"train.bundled.model +2\b", lines_of(asked), re.M)


def test_the_folder_for_others_is_a_target_and_part_of_the_study(project):
    for run in (project.snakemake("-n", "export"), project.snakemake("-n")):
        assert re.search(r"write.export +1\b", lines_of(run), re.M), lines_of(run)


def test_every_rule_is_explained_in_the_list(project):
    listed = project.snakemake("--list").stdout.strip().splitlines()
    assert len(listed) > 15
    assert [line for line in listed if "(" not in line] == []


def test_every_rule_has_log_benchmark_and_code_digest(project):
    for path in (project.folder / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text("utf-8"), flags=re.M)[1:]:
            name = rule.split(":")[0]
            if "script:" in rule:
                for key in ("log:", "benchmark:", "code=code_digest", "mem_mb=", "runtime="):
                    assert key in rule, f"rule {name} has no {key}"
                assert f"{name}.py" in rule, f"rule {name} does not run the script of its name"


def test_lint_finds_nothing_but_helpers_beside_their_rules(project):
    """Lint wants every helper in one common module; here each stands in the file of the stage that it serves."""
    run = project.snakemake("--lint")
    found = set(re.findall(r"^ {4}\* (.*)$", lines_of(run), re.M))
    assert found == {"Mixed rules and functions in same snakefile.:"}, lines_of(run)


@pytest.mark.parametrize(
    ("overlay", "line"),
    [
        ({"modles": ["x"]}, "unknown key 'modles', did you mean 'models'?"),
        ({"vectors": {"dim": {"max_kll": 1}}}, "unknown key 'vectors.dim.max_kll', did you mean 'max_kl'?"),
        ({"models": ["pocket-lama"]}, "did you mean 'pocket-llama'?"),
        ({"generation": {"batch_size": 0}}, "generation.batch_size is 0"),
    ],
)
def test_a_slip_in_the_config_is_one_line(project, overlay, line):
    path = project.folder / "config" / "mine.yaml"
    path.write_text(yaml.safe_dump(overlay), "utf-8")
    run = project.snakemake("-n", "--configfile", "config/mine.yaml")
    assert run.returncode != 0
    assert line in lines_of(run)
    assert "Traceback" not in lines_of(run)


@pytest.mark.parametrize(
    ("overlay", "arguments", "line"),
    [
        ("seed: 1\n", ["--configfile", "config/paper.yaml"], "--configfile is there 2 times"),
        ("seed: 1\nseed: 2\n", [], "mine.yaml, line 2: key 'seed' is there twice"),
        ("seed: 1\n", ["--config", "generation={max_new_tokens: 0}"], "generation.max_new_tokens is 0"),
    ],
)
def test_what_of_the_config_would_be_lost_is_refused_in_one_line(project, overlay, arguments, line):
    (project.folder / "config" / "mine.yaml").write_text(overlay, "utf-8")
    run = project.snakemake("-n", *arguments, "--configfile", "config/mine.yaml")
    assert run.returncode != 0
    assert line in lines_of(run)
    assert "Traceback" not in lines_of(run)


def test_a_nested_value_of_the_command_line_reaches_the_jobs_as_it_is(project):
    (project.folder / "config" / "mine.yaml").write_text("models: [pocket-llama]\n", "utf-8")
    card = "results/pocket-llama/model.json"
    words = ["--config", "prompts={template: {enable_thinking: false, size: 8}}"]
    run = project.snakemake(card, "--cores", "1", "--configfile", "config/mine.yaml", *words)
    assert run.returncode == 0, lines_of(run)
    template = json.loads((project.folder / card).read_text("utf-8"))["template"]
    assert template == {"date": "2024-07-26", "enable_thinking": False, "size": 8}
    first = next(each for each in run.stderr.splitlines() if each.startswith("Config:"))
    assert first == f"Config: config/study.yaml, then config/mine.yaml, then --config {words[1]}"
    assert run.stderr.index(first) < run.stderr.index("This run: 1 jobs")


def test_a_home_that_nobody_can_write_to_is_not_needed(project):
    run = subprocess.run(
        ["snakemake", "results/pocket-llama/model.json", "--cores", "1"],
        cwd=project.folder,
        env={**project.environment, "HOME": "/proc/nowhere", "XDG_CACHE_HOME": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, lines_of(run)
    assert "Traceback" not in lines_of(run)


def test_a_local_folder_is_a_model(project):
    path = project.folder / "config" / "mine.yaml"
    path.write_text(yaml.safe_dump({"models": ["resources/models/pocket-gemma"]}), "utf-8")
    run = project.snakemake("-n", "--configfile", "config/mine.yaml")
    assert run.returncode == 0, lines_of(run)
    assert re.search(r"generate.base +1\b", lines_of(run))


def test_the_method_that_the_docs_add_is_planned_like_the_others(project):
    text = (REPOSITORY / "docs" / "vectors.md").read_text("utf-8")
    (source,), (entry,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "yaml"))
    (project.folder / source.splitlines()[0].removeprefix("# ")).write_text(source, "utf-8")
    (project.folder / "config" / "mine.yaml").write_text(entry, "utf-8")
    run = project.snakemake("-n", "--configfile", "config/mine.yaml")
    assert run.returncode == 0, lines_of(run)
    methods = len(yaml.safe_load(entry)["vectors"]["methods"])
    for rule, jobs in (("generate steered", 2 * 3 * methods), ("select vector", 2 * 3)):
        assert re.search(rf"{rule} +{jobs}\b", lines_of(run)), lines_of(run)


def test_a_killed_run_and_a_killed_job_are_told_in_a_line_each(project):
    script = project.folder / "workflow" / "scripts" / "prompts" / "prepare_prompts.py"
    script.write_text("import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)\n", "utf-8")
    locks = project.folder / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    for kind, file in (("output", "results/prompts/prompts.parquet"), ("input", "resources/prompts/a.csv")):
        (locks / f"0.{kind}.lock").write_text(f"{file}\n", "utf-8")
    run = project.snakemake("results/prompts/prompts.parquet", "--cores", "1")
    assert run.returncode != 0
    said = " ".join(lines_of(run).split())
    assert said.count("The run before this one was killed; its lock is removed") == 1
    assert said.count("error in prepare_prompts: expected a result or a line of the job, found neither") == 1
    for word in ("Traceback", "Logging error", "cannot be locked"):
        assert word not in said


HOSTILE = "$(touch ran) `touch ran`; touch ran & 'single' \"double\" \\ * é"


@pytest.fixture
def hostile(project):
    """A study of a model folder and a prompt file whose names a shell, Snakemake or a page could misread."""
    folder = project.folder / HOSTILE
    shutil.copytree(
        project.folder / "resources" / "models" / "pocket-llama", folder / "My model; $(touch ran)"
    )
    prompts = folder / "prompts.csv"
    rows = [f"{label}-{i},{label}" for label in ("harmful", "harmless") for i in range(60)]
    prompts.write_text("\n".join(["text,label", *rows]), "utf-8")
    overlay = {
        "models": [f"{HOSTILE}/My model; $(touch ran)"],
        "prompts": {
            "source": "files",
            "files": [
                {
                    "path": f"{HOSTILE}/prompts.csv",
                    "name": "mine",
                    "text": "text",
                    "role": "pool",
                    "label_column": "label",
                    "label_values": {"harmful": "harmful", "harmless": "harmless"},
                }
            ],
            "sizes": {"train": 8, "validation": 8, "augmentation": 0},
            "test_sizes": {"files": {"mine_harmful": 8, "mine_harmless": 8}},
            "main_sets": {"files": {"harmful": "mine_harmful", "harmless": "mine_harmless"}},
        },
    }
    (project.folder / "config" / "mine.yaml").write_text(yaml.safe_dump(overlay), "utf-8")
    return project


@pytest.mark.slow
def test_no_part_of_a_name_reaches_a_shell(hostile):
    made = ("results/prompts/prompts.parquet", "results/my-model----touch-ran-/model.json")
    run = hostile.snakemake(*made, "--cores", "1", "--configfile", "config/mine.yaml")
    assert run.returncode == 0, lines_of(run)
    assert [path for path in made if not (hostile.folder / path).is_file()] == []
    assert list(hostile.folder.rglob("ran")) == []
