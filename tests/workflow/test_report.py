"""Snakemake's own report: which files go into it, in which category, with which caption. No job runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

# Every output of every rule, with the path, category and caption that report() gives it
LIST_OUTPUTS = """
import json
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.io import get_flag_value, is_flagged
from snakemake.settings.types import OutputSettings, ResourceSettings

with SnakemakeApi(OutputSettings()) as api:
    workflow = api.workflow(resource_settings=ResourceSettings(), snakefile=Path("Snakefile"))._workflow
    outputs = []
    for rule in workflow.rules:
        for path in rule.output:
            shown = get_flag_value(path, "report") if is_flagged(path, "report") else None
            outputs.append({
                "rule": rule.name,
                "path": str(path),
                "category": shown and shown.category,
                "title": shown and (shown.labels or {}).get("figure"),
                "caption": shown and Path(shown.caption.get_path_or_uri(secret_free=False)).read_text(),
            })
    print(json.dumps(outputs))
"""


@pytest.fixture(scope="module")
def outputs() -> list[dict]:
    run = subprocess.run(
        [sys.executable, "-c", LIST_OUTPUTS],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_every_figure_is_in_the_report_with_category_title_and_caption(outputs):
    figures = [each for each in outputs if each["path"].endswith(".svg")]
    figures += [each for each in outputs if each["path"].startswith("reports/circuits/")]
    assert {each["rule"] for each in figures} >= {
        "draw_figures_steering",
        "describe_run",
        "draw_circuit_page",
    }
    assert len(figures) > 20
    for figure in figures:
        assert figure["category"], figure
        assert figure["title"], figure
        assert figure["caption"].strip(), figure


def test_each_figure_is_there_once(outputs):
    shown = [each for each in outputs if each["category"]]
    assert [each["path"] for each in shown if not each["path"].endswith((".svg", ".html"))] == []
    titles = [each["title"] for each in shown]
    assert [title for title in titles if titles.count(title) > 1] == []


def test_figures_of_a_rule_share_a_category(outputs):
    categories: dict[str, set[str]] = {}
    for each in outputs:
        if each["category"]:
            categories.setdefault(each["rule"], set()).add(each["category"])
    assert [rule for rule, found in categories.items() if len(found) > 1] == []
    assert categories["draw_circuit_page"] == categories["draw_figures_circuits"]
