import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.report.pages import Page, loaded_by, needs_browser, widths_of

from steering_study.report.exhibits import TABLES
from steering_study.report.frames import FRAMES, read_frame
from steering_study.report.sections import frame_path, read_report, section_file
from steering_study.steering.schemas import ASR
from steering_study.store.artifacts import read_table, write_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(load_script):
    return load_script("write_report")


@pytest.fixture
def arguments(drawn_study, tmp_path):
    return {
        "sections": drawn_study.sections,
        "template": ROOT / "workflow/report/index.html.j2",
        "models": drawn_study.models,
        "methods": ["dim"],
        "cards": drawn_study.cards,
        "prompts": drawn_study.root / "results/prompts/prompts.parquet",
        "rules": [drawn_study.rules],
        "root": drawn_study.root,
        "confidence": 0.95,
        "faithful": 0.85,
        "selection": {
            "rule": "paper",
            "min_induce": 0.0,
            "max_kl": 0.1,
            "max_depth": {"pocket-llama": 0.7, "pocket-gemma": 0.8},
        },
        "config_digest": "0123abcd",
        "out": drawn_study.root / "reports/index.html",
    }


@pytest.fixture
def page(script, arguments) -> str:
    script.main(**arguments)
    return arguments["out"].read_text("utf-8")


def test_prompts_that_spell_a_control_token_are_counted_for_each_model(script):
    texts = ["Say <|eot_id|> hi", "<bos>", "<|eot_id|><bos>", "plain", "<eot>"]
    prompts = pd.DataFrame({"text": texts})
    cards = [
        {"name": "pocket-llama", "control_tokens": ["<|eot_id|>", "<|end|>"]},
        {"name": "pocket-gemma", "control_tokens": ["<bos>"]},
        {"name": "other", "control_tokens": ["<|im_end|>"]},
    ]
    assert script.count_spelled(prompts, cards) == (
        "Prompts that spell a control token of the model, which is read as text: 2 (pocket-llama) and 2 (pocket-gemma)."
    )
    assert script.count_spelled(prompts, cards[2:]) == ""


def test_page_loads_nothing(page):
    assert loaded_by(page) == []


def test_texts_of_models_and_prompts_are_escaped(page):
    assert '<script>alert("prompt")' not in page
    assert "&lt;script&gt;alert(" in page
    assert "<i>First</i>" not in page
    assert Page(page).scripts == 1  # its own


def with_hostile_texts(frames, names):
    """The frames of a table, with one column of texts after the other made hostile."""
    for place, (frame, name) in enumerate(zip(frames, names, strict=True)):
        for column in [column for column, kind in FRAMES[name].items() if kind == "string"]:
            changed = frame.assign(**{column: "</td><script>alert('cell')</script>" + frame[column]})
            yield column, [*frames[:place], changed, *frames[place + 1 :]]


def test_every_text_of_every_table_is_escaped(drawn_study):
    shown = set()
    sections = read_report(drawn_study.sections).sections
    tables = [(section, each) for section in sections for each in section.exhibits if each.kind != "figure"]
    for section, exhibit in tables:
        ways = {"root": "..", "rules": {}} if exhibit.kind == "linked" else {}
        frames = [
            read_frame(drawn_study.root / frame_path(section, name), frame=name) for name in exhibit.frames
        ]
        for column, changed in with_hostile_texts(frames, exhibit.frames):
            try:
                page = TABLES[exhibit.name](*changed, **ways)
            except (KeyError, ValueError, IndexError, TypeError):
                continue  # a column of words of the study's own, of which this is none
            assert "<script" not in page, (exhibit.name, column)
            if "&lt;script&gt;" in page:
                shown.add((exhibit.name, column))
    assert {column for _, column in shown} >= {"model", "prompt", "token", "method"}
    assert len(shown) > 40


def test_pages_put_no_text_in_as_markup():
    for path in sorted((ROOT / "workflow/report").glob("*.*")):
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\| *safe\b",
            path.read_text("utf-8"),
        )
        assert found == [], path


def test_every_link_leads_to_a_file_or_an_anchor(page, arguments):
    parsed, folder = Page(page), arguments["out"].parent
    anchors = [link[1:] for link in parsed.links if link.startswith("#")]
    files = {link.partition("#")[0] for link in parsed.links if not link.startswith("#")}
    assert set(anchors) <= set(parsed.ids)
    assert [file for file in files if Path(file).is_absolute()] == []
    documentation = {file for file in files if "/docs/" in file}  # test_sections looks after these
    later = {"run.html", "gallery.html"}  # and test_describe_run and test_write_gallery after these
    assert later <= files
    assert [file for file in files - documentation - later if not (folder / file).exists()] == []


def test_ids_are_unique(page):
    ids = Page(page).ids
    assert [name for name in set(ids) if ids.count(name) > 1] == []


def test_every_exhibit_names_its_file_rule_function_and_equation(page, drawn_study):
    steering = yaml.safe_load(section_file(drawn_study.sections, "steering").read_text("utf-8"))
    for exhibit in steering["exhibits"]:
        part = page[page.index(f'id="steering-{exhibit["name"]}"') :]
        part = part[: part.index("</figure>")]
        assert "<dt>equation</dt>" in part
        assert "results/pocket-gemma/" in part
        assert "<code>summarise_steering</code>" in part or exhibit["tables"] not in (["asr"], ["flips"])
        assert [name for name in exhibit["functions"] if f"<code>{name}</code>" not in part] == []


def test_lead_and_captions_carry_numbers(page, drawn_study):
    asr = read_table(drawn_study.root / "results/pocket-llama/asr.parquet", ASR).set_index(
        ["dataset", "method"]
    )
    refused = 1 - asr["asr"][("harmless", "dim")]
    assert f"DIM makes pocket-llama refuse {100 * refused:.0f}\N{NO-BREAK SPACE}% [" in page
    assert "on 20 harmless prompts, 20 harmful prompts and 20 unseen harmful prompts" in page
    assert "95\N{NO-BREAK SPACE}% Wilson intervals" in page
    assert "Llama 3.2 3B refuses 97\N{NO-BREAK SPACE}% on Alpaca" in page


def test_attack_success_repeats_the_error_of_the_judge(page):
    page = page.replace("\N{NO-BREAK SPACE}", " ")
    error = "error of the judge phrases, on 40 labelled texts of each kind: 2.5 % [0, 13] of refusals missed and 5 % [1, 17] of answers"
    figure = page[page.index('id="steering-asr"') : page.index('id="steering-table2"')]
    table = page[page.index('id="steering-table2"') : page.index('id="steering-judges"')]
    assert figure.count(error) == 1  # in the caption
    assert table.count(error) == 3  # above each test set
    assert "results/summary/judge_errors.parquet" in figure
    assert "<code>measure_judges</code>" in figure


def test_a_second_run_writes_the_same_bytes(page, script, arguments):
    script.main(**arguments)
    assert arguments["out"].read_text("utf-8") == page


def test_code_of_rules_and_functions_is_in_the_page(page):
    assert "rule summarise_steering:" in page
    assert "def wilson_interval(" in page


def changed_sections(tmp_path, arguments, change) -> dict:
    report = arguments["sections"]
    shutil.copytree(report.parent / "sections", tmp_path / "sections")
    path = section_file(Path(shutil.copy(report, tmp_path)), "steering")
    steering = yaml.safe_load(path.read_text("utf-8"))
    change(steering["exhibits"][0])
    path.write_text(yaml.safe_dump(steering))
    return {**arguments, "sections": tmp_path / report.name, "out": tmp_path / "index.html"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda e: e.update(caption="{n_tset} prompts"),
            "caption of steering-asr names 'n_tset', expected one of confidence",
        ),
        (
            lambda e: e.update(functions=["steering_study.stats.wilson"]),
            "names 'steering_study.stats.wilson', which stats.py does not define",
        ),
    ],
)
def test_mistakes_in_the_list_stop_the_page(script, arguments, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        script.main(**changed_sections(tmp_path, arguments, change))
    assert not (tmp_path / "index.html").exists()


def test_a_table_of_unknown_origin_stops_the_page(script, arguments, drawn_study):
    path = drawn_study.root / "results/pocket-llama/asr.parquet"
    table, before = read_table(path, ASR), path.read_bytes()
    for provenance, message in (
        ({}, "does not say which rule made it"),
        ({"rule": "gone"}, "rule 'gone' made it"),
    ):
        write_table(path, table, ASR, provenance=provenance)
        with pytest.raises(ValueError, match=message):
            script.main(**arguments)
    path.write_bytes(before)


def test_svg_ids_become_the_figure_s_own(script):
    svg = '<?xml version="1.0"?>\n<svg><defs><path id="p1"/></defs><use xlink:href="#p1"/><g clip-path="url(#p1)"/></svg>'
    assert script.inline_svg(svg, prefix="a", label='x "y"') == (
        '<svg role="img" aria-label="x &#34;y&#34;"><defs><path id="a-p1"/></defs><use xlink:href="#a-p1"/><g clip-path="url(#a-p1)"/></svg>'
    )


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_page_does_not_overflow_sideways(page, width, tmp_path):
    shown, needed = widths_of(page, width, tmp_path)
    assert width - 20 <= shown <= width  # but for a scroll bar
    assert needed <= shown
