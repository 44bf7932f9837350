from pathlib import Path

import pytest
import yaml

from steering_study.report.sections import (
    TableSource,
    figure_paths,
    frame_paths,
    notebook_parameters,
    read_report,
    read_section,
    section_file,
    section_inputs,
)
from steering_study.report.sources import function_source

ROOT = Path(__file__).parents[2]
SECTIONS = ROOT / "workflow/report/report.yaml"
REPORT = read_report(SECTIONS)
EXHIBITS = [exhibit for section in REPORT.sections for exhibit in section.exhibits]


@pytest.fixture
def edited(tmp_path):
    """A section of the report after a change of its file."""

    def read(change):
        value = yaml.safe_load(section_file(SECTIONS, "steering").read_text("utf-8"))
        change(value)
        path = tmp_path / "steering.yaml"
        path.write_text(yaml.safe_dump(value))
        return read_section(path)

    return read


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_every_function_that_the_page_names_exists(exhibit):
    for function in exhibit.functions:
        assert function_source(function).text


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_every_heading_that_the_page_names_exists(exhibit):
    page, _, anchor = exhibit.method.partition("#")
    if not (ROOT / page).exists():
        pytest.skip(f"{page} is not written yet; returns with it")
    headings = [
        line.lstrip("# ") for line in (ROOT / page).read_text("utf-8").splitlines() if line.startswith("#")
    ]
    kept = ["".join(c for c in heading.lower() if c.isalnum() or c in " -_") for heading in headings]
    assert anchor in [heading.replace(" ", "-") for heading in kept]


@pytest.mark.parametrize("section", REPORT.sections, ids=lambda section: section.name)
def test_every_section_has_its_notebook_captions_and_published_numbers(section):
    assert (ROOT / f"workflow/notebooks/{section.name}.ipynb").is_file()
    assert [
        f for f in section.figures if not (ROOT / f"workflow/report/captions/{f.name}.rst").is_file()
    ] == []
    assert [path for path in section.published.values() if not (ROOT / path).is_file()] == []


def test_paths_of_a_section():
    section = REPORT.section("steering")
    inputs = section_inputs(section, ["a", "b"], ["dim", "po"])
    assert inputs["asr"] == ["results/a/asr.parquet", "results/b/asr.parquet"]
    assert inputs["dose_response"] == [
        f"results/{m}/{v}/dose_response.parquet" for m in "ab" for v in ("dim", "po")
    ]
    assert "reports/figures/steering/asr.svg" in figure_paths(section)
    assert frame_paths(section) == list(notebook_parameters(section).values())


def first(section):
    return section["exhibits"][0]


def test_unknown_section_is_refused():
    with pytest.raises(ValueError, match=r"section='steer' is unknown; report\.yaml has claims"):
        REPORT.section("steer")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(captoin="x"), r"steering: missing keys \[\], unknown keys \['captoin'\]"),
        (lambda v: first(v).pop("caption"), r"exhibits\[0\]: missing keys \['caption'\]"),
        (lambda v: first(v).update(tables=["as"]), r"exhibits\.asr\.tables is 'as', expected one of"),
        (lambda v: first(v).update(frames=["as"]), r"exhibits\.asr\.frames is 'as', expected one of"),
        (
            lambda v: first(v).update(kind="plot"),
            r"exhibits\[0\]\.kind is 'plot', expected one of figure, table",
        ),
        (lambda v: v["tables"]["asr"].update(table="x"), r"tables\.asr\.table is 'x', expected one of"),
        (
            lambda v: v["tables"]["asr"].update(path="x"),
            r"tables\.asr\.path is 'x', expected \{model\} in it",
        ),
    ],
)
def test_mistakes_in_the_list_are_named(edited, change, message):
    with pytest.raises(ValueError, match=message):
        edited(change)


def test_a_section_without_a_file_is_named(tmp_path):
    path = tmp_path / "report.yaml"
    path.write_text(yaml.safe_dump({"title": "t", "question": "q", "paper": "p", "sections": ["nothing"]}))
    with pytest.raises(ValueError, match=r"names the section 'nothing', but there is no .*nothing\.yaml"):
        read_report(path)


def test_tables_of_learned_methods_are_asked_for_where_there_is_one():
    source = TableSource(table="pairs", path="results/{model}/pairs.parquet", of_learned=True)
    assert source.paths(["a", "b"], ["dim", "random"]) == []
    assert source.paths(["a", "b"], ["dim", "ntp", "po"]) == [
        "results/a/pairs.parquet",
        "results/b/pairs.parquet",
    ]
