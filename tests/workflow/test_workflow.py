"""The workflow as a user meets it: plans, targets, profile, lint, and one line for each mistake. No job runs."""

from __future__ import annotations

import re

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


def test_lint_finds_nothing(project):
    run = project.snakemake("--lint")
    assert run.returncode == 0, lines_of(run)


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
    for rule, jobs in (("generate steered", 2 * 2 * methods), ("select vector", 2 * 3)):
        assert re.search(rf"{rule} +{jobs}\b", lines_of(run)), lines_of(run)
