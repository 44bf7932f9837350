"""Every number of the paper has its entry, and every entry its exhibits."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from steering_study.report.gallery import (
    IN_PAPER,
    exhibit_of,
    figures_of,
    own_figures,
    parts_of,
    read_gallery,
    rows_where,
)
from steering_study.report.sections import read_report

ROOT = Path(__file__).parents[2]
FILE = ROOT / "workflow/report/gallery.yaml"
REPORT = read_report(ROOT / "workflow/report/report.yaml")
GALLERY = read_gallery(FILE, REPORT)
GONE = {"exhibit": "steering.gone"}


@pytest.fixture
def edited(tmp_path):
    """The gallery of a changed copy of gallery.yaml."""

    def read(change):
        value = yaml.safe_load(FILE.read_text("utf-8"))
        change(value["entries"])
        path = tmp_path / "gallery.yaml"
        path.write_text(yaml.safe_dump(value))
        return read_gallery(path, REPORT)

    return read


def test_all_twenty_figures_and_eleven_tables_have_an_entry():
    anchors = [anchor for entry in GALLERY.entries for anchor in entry.anchors]
    assert IN_PAPER == {"figures": 20, "tables": 11}
    assert sorted(anchors) == sorted(
        [f"figure-{n}" for n in range(1, 21)] + [f"table-{n}" for n in range(1, 12)]
    )


@pytest.mark.parametrize("entry", GALLERY.entries, ids=lambda entry: entry.name)
def test_an_entry_names_exhibits_columns_and_files_that_exist(entry):
    assert entry.parts
    assert [path for path in entry.published if not (ROOT / path).is_file()] == []
    for part in entry.parts:
        _, exhibit = exhibit_of(part, REPORT)
        assert not part.where or exhibit.kind != "figure"


@pytest.mark.parametrize("entry", GALLERY.entries, ids=lambda entry: entry.name)
def test_captions_name_the_numbers_that_the_gallery_gives_them(entry):
    """The first exhibit of an entry says itself which number of the paper it stands beside."""
    _, exhibit = exhibit_of(entry.parts[0], REPORT)
    kind = "Figure" if entry.figures else "Table"
    assert kind in exhibit.paper
    numbers = entry.figures or entry.tables
    if " to " not in exhibit.paper:
        assert [n for n in numbers if str(n) not in exhibit.paper] == []


def test_names_are_in_words():
    names = {entry.name for entry in GALLERY.entries}
    assert {"Figure 1", "Figures 3 and 9", "Figures 13 to 18", "Tables 10 and 11"} <= names


def test_each_figure_is_drawn_once_for_each_model():
    found = own_figures(GALLERY, REPORT, models=["a", "b"], methods=["dim", "po"])
    paths = [path for figure in found for path in figure.paths]
    assert len(set(paths)) == len(paths)
    assert "reports/figures/circuits/a/faithfulness.svg" in paths
    assert "reports/figures/circuits/b/po/drawings.pdf" in paths
    drawings = next(part for _, part in parts_of(GALLERY) if part.by_method)
    assert len(figures_of(drawings, REPORT, models=["a", "b"], methods=["dim", "po"])) == 4


def test_rows_of_other_columns_and_of_published_models_stay():
    frame = pd.DataFrame({"model": ["a", "b"], "end": ["in", "out"]})
    models = ["a", "b", "c"]
    assert list(rows_where(frame, {"model": "a", "scope": "circuit"}, models=models)["end"]) == ["in"]
    assert len(rows_where(frame.assign(model="gemma-2-2b-it"), {"model": "a"}, models=models)) == 2
    assert len(rows_where(frame, {"model": "c"}, models=models)) == 0  # and not those of another model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop(0), r"has figures \[2, .*expected each of 1 to 20 once"),
        (lambda v: v[1].update(figures=[1, 2]), "expected each of 1 to 20 once"),
        (lambda v: v[0].update(tables=[1]), r"entries\[0\] has figures .* and tables .*, expected either"),
        (lambda v: v[0].update(captoin="x"), r"entries\[0\]: missing keys \[\], unknown keys \['captoin'\]"),
        (lambda v: v[0].pop("shows"), r"missing keys \['shows'\]"),
        (lambda v: v[0].update(parts=[GONE]), "names 'steering.gone'; section 'steering' has asr"),
        (lambda v: v[0].update(parts=[{"exhibit": "gone.asr"}]), "section='gone' is unknown"),
        (lambda v: v[0]["parts"][0].update(by_method=True), "draws attention.frozen_examples by method"),
    ],
)
def test_mistakes_in_the_list_are_named(edited, change, message):
    with pytest.raises(ValueError, match=message):
        edited(change)
