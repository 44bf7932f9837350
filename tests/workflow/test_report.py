"""Snakemake's own report: which files go into it, in which category, with which caption. No job runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from steering_study.report.gallery import figures_page, own_figures, read_gallery
from steering_study.report.sections import read_report
from tests.conftest import REPOSITORY

SECTIONS = read_report(REPOSITORY / "workflow/report/report.yaml")
GALLERY = read_gallery(REPOSITORY / "workflow/report/gallery.yaml", SECTIONS)
OWN_FIGURES = own_figures(
    GALLERY, SECTIONS, models=["pocket-llama", "pocket-gemma"], methods=["dim", "ntp", "po"]
)

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
    own = {path for each in OWN_FIGURES for path in each.paths}  # the same figures, of one model alone
    assert own & {each["path"] for each in outputs}
    for figure in figures:
        if figure["path"] in own:
            continue
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


def rules_by_path(outputs: list[dict], paths: set[str]) -> dict[str, str]:
    """The rule that makes each file; one that names the file more closely goes before one with more wildcards."""
    patterns = sorted((each["path"].count("{"), each["path"], each["rule"]) for each in outputs)
    found = {}
    for path in paths:
        one = path.format(model="pocket-llama", method="dim", learned="ntp")
        rules = [rule for _, pattern, rule in patterns if re.fullmatch(wildcards_as_groups(pattern), one)]
        found |= {path: rules[0]} if rules else {}
    return found


def wildcards_as_groups(pattern: str) -> str:
    """A path with Snakemake's wildcards and their constraints as a regular expression."""
    pieces = re.split(r"\{\w+(?:,([^{}]*))?\}", pattern)
    literal, constraints = pieces[::2], pieces[1::2]
    groups = [f"(?:{constraint or '[^/]+'})" for constraint in constraints]
    return "".join(re.escape(piece) + group for piece, group in zip(literal, [*groups, ""], strict=True))


def test_docs_say_how_each_figure_and_table_of_the_paper_is_made(outputs):
    paths = {source.path for section in SECTIONS.sections for source in section.tables.values()}
    rules = rules_by_path(outputs, paths)
    assert set(rules) == paths
    assert rules["results/{model}/faithfulness.parquet"] == "summarise_circuits"
    assert rules["results/{model}/none/base/responses.parquet"] == "generate_base"
    assert rules["results/{model}/dim/test/responses.parquet"] == "generate_steered"
    expected = figures_page(GALLERY, SECTIONS, rules)
    page = REPOSITORY / "docs/report.md"
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(expected, "utf-8")
    assert page.read_text("utf-8") == expected, "write it anew with UPDATE_DOCS=1"
