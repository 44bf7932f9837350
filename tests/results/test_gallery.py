"""Every figure and table of the paper has the tables that it is drawn from."""

from __future__ import annotations

from pathlib import Path

import pytest

from steering_study.report.gallery import exhibit_of, read_gallery
from steering_study.report.sections import read_report, section_inputs
from tests.results.conftest import METHODS, MODELS, ROOT

PAGES = Path(__file__).parents[2] / "workflow/report"
REPORT = read_report(PAGES / "report.yaml")


@pytest.mark.parametrize(
    "entry", read_gallery(PAGES / "gallery.yaml", REPORT).entries, ids=lambda entry: entry.name
)
def test_a_number_of_the_paper_has_its_tables(entry):
    for part in entry.parts:
        section, exhibit = exhibit_of(part, REPORT)
        inputs = section_inputs(section, MODELS, METHODS)
        paths = [ROOT / Path(path).relative_to("results") for name in exhibit.tables for path in inputs[name]]
        assert [path for path in paths if not path.is_file()] == []
