"""The pages of a finished study in a browser, from disk: nothing to complain of, nothing missing, nothing too wide."""

import os
from pathlib import Path

import pytest
from tests.report.pages import broken_links, needs_browser, visit

FOLDER = os.environ.get("STEERING_STUDY_PAGES")
if not FOLDER:
    pytest.skip(
        "STEERING_STUDY_PAGES names no folder with a finished report; `make check-pages` does",
        allow_module_level=True,
    )

REPORTS = Path(FOLDER)
OURS = [REPORTS / f"{name}.html" for name in ("index", "gallery", "texts", "run")]
CIRCUITS = sorted(REPORTS.glob("circuits/*.html"))
NOTEBOOKS = sorted(REPORTS.glob("notebooks/*.html"))
LOOK = """
  const root = document.documentElement;
  const missing = [...document.images].filter(image => !image.complete || !image.naturalWidth);
  return {shown: root.clientWidth, needed: root.scrollWidth, missing: missing.map(image => image.src.slice(0, 200))};
"""


def named(path: Path) -> str:
    return str(path.relative_to(REPORTS))


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", [*OURS, *CIRCUITS], ids=named)
def test_a_page_is_whole_and_fits(page, width, tmp_path):
    seen = visit(page, width, tmp_path, script=LOOK)
    assert seen.console == []
    assert seen.found["missing"] == []
    assert seen.found["needed"] <= seen.found["shown"] <= width


@needs_browser
@pytest.mark.parametrize("page", NOTEBOOKS, ids=named)
def test_a_notebook_is_whole(page, tmp_path):
    seen = visit(page, 1280, tmp_path, script=LOOK)
    assert seen.console == []
    assert seen.found["missing"] == []


@pytest.mark.parametrize("page", OURS, ids=named)
def test_every_link_leads_somewhere(page):
    assert broken_links(page) == []
