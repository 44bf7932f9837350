import json
import re
from pathlib import Path

import pytest
import yaml
from tests.report.pages import Page, browse, loaded_by, needs_browser, widths_of
from tests.report.run_jobs import PLAN

from steering_study.prompts.schemas import PROMPTS
from steering_study.report.frames import read_frame
from steering_study.report.run.page import FRAMES, RUN_FIGURES
from steering_study.store.artifacts import sha256_of, write_json, write_table
from steering_study.vectors.schemas import COSINE

ROOT = Path(__file__).parents[2]
CARD = {
    "name": "m",
    "architecture": "LlamaForCausalLM",
    "revision": "cafe" * 10,
    "source": "/home/somebody/models/m",
    "n_layers": 8,
    "post_instruction_tokens": ["<eot>"],
}


@pytest.fixture
def script(load_script):
    return load_script("describe_run")


@pytest.fixture
def arguments(tmp_path):
    """A small study: a table made from prompts, a figure's numbers, and benchmark files."""
    import pandas as pd

    prompts = tmp_path / "results/prompts.parquet"
    columns = ["id", "split", "label", "source", "concept", "text"]
    frame = pd.DataFrame(
        [[f"p{i}", "test", "harmful", "harmful", "refusal", "<b>text</b>"] for i in range(3)], columns=columns
    )
    write_table(
        prompts,
        frame,
        PROMPTS,
        provenance={"rule": "prepare", "params": {"code": "c0ffee", "seed": 7}, "inputs": {}},
    )
    verdicts = tmp_path / "results/m/dim/sweep.parquet"
    inputs = {"results/prompts.parquet": sha256_of(prompts)}
    cosine = pd.DataFrame({"method_a": ["dim"], "method_b": ["dim"], "cosine": [1.0]})
    write_table(
        verdicts,
        cosine,
        COSINE,
        provenance={
            "rule": "generate",
            "params": {"code": "beef"},
            "wildcards": {"model": "m"},
            "inputs": inputs,
        },
    )
    (tmp_path / "reports/tables").mkdir(parents=True)
    (tmp_path / "reports/tables/a.csv").write_text("x\n1\n")
    (tmp_path / "reports/index.html").touch()
    card = tmp_path / "results/m/model.json"
    write_json(card, CARD)
    for place, job in enumerate(PLAN):
        path = tmp_path / job["benchmark"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"s": 10.0 * (place + 1), "cpu_time": 1.0, "max_rss": 50.0}) + "\n")
    config = yaml.safe_load((ROOT / "config/study.yaml").read_text("utf-8"))
    config["generation"]["batch_size"] = 7
    config["prompts"]["mirror"] = "/home/somebody/mirror"
    return {
        "config": config,
        "config_digest": "0123abcd",
        "defaults": ROOT / "config/study.yaml",
        "cards": [card],
        "requirements": ROOT / "envs/requirements.in",
        "jobs": PLAN,
        "root": tmp_path,
        "template": ROOT / "workflow/report/run.html.j2",
        "frames": [tmp_path / f"reports/tables/run/{frame}.csv" for frame in FRAMES],
        "figures": [
            tmp_path / f"reports/figures/run/{name}.{suffix}"
            for name in RUN_FIGURES
            for suffix in ("svg", "png", "pdf")
        ],
        "page": tmp_path / "reports/run.html",
    }


@pytest.fixture
def page(script, arguments):
    script.main(**arguments)
    return arguments["page"].read_text("utf-8")


def test_page_loads_nothing(page):
    assert loaded_by(page) == []


def test_every_link_leads_to_a_file_or_an_anchor(page, arguments):
    parsed, folder = Page(page), arguments["page"].parent
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)
    files = [link for link in parsed.links if not link.startswith("#")]
    assert "index.html" in files
    assert [file for file in files if Path(file).is_absolute() or not (folder / file).exists()] == []
    assert [name for name in set(parsed.ids) if parsed.ids.count(name) > 1] == []


def test_every_frame_and_figure_is_written(page, arguments):
    assert [path for path in arguments["figures"] if not path.stat().st_size] == []
    for path in arguments["frames"]:
        assert len(read_frame(path, frame=path.stem)) > 0


def test_config_marks_what_differs(page):
    marked = re.findall(r"<mark>\s*(\S+ \S+)</mark>  # (.*)", page)
    assert marked == [("mirror: …/mirror", "in study.yaml: null"), ("batch_size: 7", "in study.yaml: 256")]
    assert "2 values differ from" in page
    assert "<code>seed: 42</code>" in page


def test_hostile_values_of_the_config_are_text(script, arguments):
    hostile = "</pre></script><script>alert('config')</script>"
    arguments["config"]["model_options"] = {hostile: {"source": hostile, "refusal_tokens": [hostile]}}
    write_json(arguments["cards"][0], {**CARD, "source": hostile, "post_instruction_tokens": [hostile]})
    script.main(**arguments)
    page = arguments["page"].read_text("utf-8")
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(") >= 4
    assert Page(page).scripts == 1  # its own


def test_page_names_no_folder_of_the_machine(page, tmp_path):
    assert "somebody" not in page
    assert str(tmp_path) not in page
    assert str(Path.home()) not in page or str(Path.home()) == "/"


def test_times_are_summed(page):
    # 10 + 20 + ... + 120 s; the longest chain is every job but the test of the first method
    assert "13.0\N{NO-BREAK SPACE}min one after the other" in page
    assert "12.0\N{NO-BREAK SPACE}min: more cores do not make it shorter" in page


def test_files_say_where_they_come_from(page):
    row = page[page.index("results/m/dim/sweep.parquet</a>") :]
    row = row[: row.index("</tr>")]
    assert [word for word in ("generate", "file", "beef", "cafecafecafe", "1 rows") if word not in row] == []
    assert "Every input that they name is still the file that they name." in page


def test_a_changed_input_is_told(script, arguments):
    path = arguments["root"] / "results/prompts.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    arguments["jobs"] = [job for job in PLAN if "results/prompts.parquet" not in job["outputs"]]
    arguments["jobs"] = [{**job, "needs": []} for job in arguments["jobs"]]
    script.main(**arguments)
    page = arguments["page"].read_text("utf-8")
    assert "An input of 1 of them is another file by now" in page
    assert "1 changed</span>" in page


def test_models_versions_and_machine_are_shown(page):
    for words in ("LlamaForCausalLM", "cafe" * 10, "&lt;eot&gt;", "transformer-lens", "processor", "CPython"):
        assert words in page


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_page_does_not_overflow_sideways(page, width, tmp_path):
    shown, needed = widths_of(page, width, tmp_path)
    assert width - 20 <= shown <= width  # but for a scroll bar
    assert needed <= shown


@needs_browser
def test_tables_are_sorted_and_searched(page, tmp_path):
    script = """
      const texts = (table, column) => [...document.querySelectorAll(table + " tbody tr")]
        .filter(row => !row.hidden).map(row => row.cells[column].textContent);
      document.querySelectorAll("table.sortable:not(.files) th button")[3].click();
      const falling = texts("table.sortable:not(.files)", 0);
      document.querySelectorAll("table.sortable:not(.files) th button")[3].click();
      const rising = texts("table.sortable:not(.files)", 0);
      const find = document.getElementById("find");
      find.value = "GENERATE sweep";
      find.dispatchEvent(new Event("input"));
      return [falling[0], rising[0], texts("table.files", 0), document.getElementById("found").textContent].join(" | ");
    """
    found = browse(page, 1280, tmp_path, script=script)
    assert found == "generate | prepare | results/m/dim/sweep.parquet | 1 of 3 files"
