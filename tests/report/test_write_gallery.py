"""The gallery, and both pages in a browser: as a reader opens them, from disk."""

import re
from pathlib import Path

import pytest
from tests.report.pages import Page, broken_links, needs_browser, visit

from steering_study.report.exhibits import TABLES
from steering_study.report.sections import read_report

ROOT = Path(__file__).parents[2]
FILE = ROOT / "workflow/report/gallery.yaml"


@pytest.fixture(scope="module")
def gallery(load_script, drawn_study) -> Path:
    """The gallery of the study, beside its report."""
    out = drawn_study.root / "reports/gallery.html"
    load_script("write_gallery").main(
        sections=drawn_study.sections,
        gallery=FILE,
        template=ROOT / "workflow/report/gallery.html.j2",
        models=drawn_study.models,
        methods=["dim", "ntp", "random"],
        circuit_methods=["dim", "ntp"],
        rules=[drawn_study.rules],
        root=drawn_study.root,
        out=out,
    )
    return out


@pytest.fixture(scope="module")
def report(load_script, drawn_study) -> Path:
    """The report of the study."""
    out = drawn_study.root / "reports/index.html"
    load_script("write_report").main(
        sections=drawn_study.sections,
        template=ROOT / "workflow/report/index.html.j2",
        models=drawn_study.models,
        methods=["dim", "ntp", "random"],
        cards=drawn_study.cards,
        prompts=drawn_study.root / "results/prompts/prompts.parquet",
        rules=[drawn_study.rules],
        root=drawn_study.root,
        confidence=0.95,
        faithful=0.85,
        selection={"rule": "paper", "min_induce": 0.0, "max_kl": 0.1, "max_depth": {"pocket-llama": 0.7}},
        config_digest="0123abcd",
        out=out,
    )
    return out


@pytest.fixture(params=["index.html", "gallery.html"])
def page(request, report, gallery) -> Path:
    return {each.name: each for each in (report, gallery)}[request.param]


def test_texts_of_models_and_prompts_are_escaped(gallery):
    text = gallery.read_text("utf-8")
    assert '<script>alert("prompt")' not in text
    assert "&lt;script&gt;alert(" in text
    assert Page(text).scripts == 1  # its own


def test_every_number_has_its_place_and_its_link(gallery):
    page = Page(gallery.read_text("utf-8"))
    anchors = [f"figure-{n}" for n in range(1, 21)] + [f"table-{n}" for n in range(1, 12)]
    assert [anchor for anchor in anchors if anchor not in page.ids] == []
    assert [anchor for anchor in anchors if f"#{anchor}" not in page.links] == []


def test_every_table_of_the_report_has_its_function_and_none_is_without(drawn_study):
    sections = read_report(drawn_study.sections).sections
    tables = {each.name for section in sections for each in section.exhibits if each.kind != "figure"}
    assert tables == set(TABLES)


def test_each_model_is_shown_by_itself(gallery):
    images = re.findall(r'<img src="([^"]*)" alt="([^"]*)"', gallery.read_text("utf-8"))
    assert (
        "figures/circuits/pocket-gemma/exchange.png",
        "Circuits exchanged between methods: pocket-gemma",
    ) in images
    assert (
        "figures/circuits/pocket-llama/ntp/drawings.png",
        "The circuits, drawn: pocket-llama, NTP",
    ) in images
    assert [src for src, _ in images if not (gallery.parent / src).is_file()] == []


def test_a_table_shows_the_rows_of_its_number(gallery):
    text = gallery.read_text("utf-8")
    table5, table8 = (text[text.index(f'id="table-{n}"') : text.index(f'id="table-{n + 1}"')] for n in (5, 8))
    assert "out of heads" in table5
    assert "into queries" not in table5
    assert "its top edges" not in table5
    assert "into queries" in table8
    assert "its top edges" in table8


def test_every_link_leads_somewhere(page):
    # made by describe_run; in the repository, where test_sections and test_gallery look after them
    later = ("run.html", "docs/", "resources/paper/")
    assert [link for link in broken_links(page) if not any(word in link for word in later)] == []


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_has_nothing_to_complain_of(page, width, tmp_path):
    script = """
      const root = document.documentElement;
      const missing = [...document.images].filter(image => !image.complete || !image.naturalWidth);
      return {shown: root.clientWidth, needed: root.scrollWidth, images: document.images.length,
              missing: missing.map(image => image.src), tables: document.querySelectorAll("th[scope=col] button").length};
    """
    seen = visit(page, width, tmp_path, script=script)
    assert seen.console == []
    assert seen.found["missing"] == []
    assert seen.found["images"] > 10 or page.name == "index.html"
    assert seen.found["tables"] > 20
    assert width - 20 <= seen.found["shown"] <= width  # but for a scroll bar
    assert seen.found["needed"] <= seen.found["shown"]


SORTED = """<!doctype html><table class="numbers"><thead><tr><th scope="col"></th><th scope="col">rate</th><th scope="col">points</th></tr></thead>
<tbody><tr class="group"><th colspan="3">first</th></tr>
<tr><td><div>a10</div></td><td><div>97 % [92, 99]</div><small>n = 5</small></td><td data-value="0.5"><div>1/2</div></td></tr>
<tr><td><div>a9</div></td><td><div>–</div></td><td data-value="-3"><div>−3</div></td></tr>
<tr><td><div>b</div></td><td><div>−4.5 %</div></td><td data-value="20"><div>20</div></td></tr>
<tr><td><div>c</div></td><td><div>1,055</div></td><td data-value="1e-5"><div>0.00001</div></td></tr>
<tr class="group"><th colspan="3">second</th></tr>
<tr><td><div>d</div></td><td><div>1 200</div></td><td></td></tr>
<tr><td><div>e</div></td><td><div>+300</div></td><td data-value="1"><div>1</div></td></tr></tbody></table><script>SCRIPT</script>"""


@needs_browser
def test_tables_sort_by_number_in_their_groups_and_come_back(tmp_path):
    script = """
      const buttons = [...document.querySelectorAll("th button")], heads = [...document.querySelectorAll("thead th")];
      const names = () => [...document.querySelectorAll("tbody tr")].map(row => row.cells[0].textContent).join(" ");
      const seen = [buttons[0].getAttribute("aria-label")];
      for (const column of [1, 1, 1, 2, 0]) {
        buttons[column].focus();
        document.activeElement.click();
        seen.push([heads.map(head => head.getAttribute("aria-sort") ?? "").join("|"), names()]);
      }
      return seen;
    """
    path = tmp_path / "sorted.html"
    path.write_text(SORTED.replace("SCRIPT", (ROOT / "workflow/report/sort.js").read_text("utf-8")), "utf-8")
    seen = visit(path, 800, tmp_path, script=script)
    assert seen.console == []
    assert seen.found == [
        "sort by this column",
        ["|descending|", "first c a10 b a9 second d e"],
        ["|ascending|", "first b a10 c a9 second e d"],
        ["||", "first a10 a9 b c second d e"],
        ["||descending", "first b a10 c a9 second e d"],
        ["descending||", "first c b a10 a9 second e d"],
    ]


@needs_browser
def test_what_a_page_says_in_the_console_is_heard(tmp_path):
    path = tmp_path / "wrong.html"
    path.write_text('<!doctype html><img src="gone.png"><script>gone();</script>')
    seen = visit(
        path, 800, tmp_path, script="return [...document.images].filter(i => !i.naturalWidth).length;"
    )
    assert seen.found == 1
    assert any("gone is not defined" in line for line in seen.console)
