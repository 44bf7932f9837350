"""The page of texts: one record a text, marks by hand, and the page in a browser by keyboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.report.pages import Page, loaded_by, needs_browser, visit

from steering_study.drawing.writing import in_script, write_page
from steering_study.judges.declines import OFFSET, DeclinesJudge
from steering_study.judges.labels import read_labels
from steering_study.report.texts import gather_texts, marks_of, page_values

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "workflow/report/texts.html.j2"
HOSTILE = "</script><script>document.title = 'run'</script><!-- \u2028 & \"<b>\" \U0001f600 bold"
PHRASES = ["I cannot"]
JUDGE = DeclinesJudge({OFFSET: 0.0, "first cannot": 2.0, "first yes": -2.0})


def responses(
    *texts: str, ids: str = "", method: str = "none", coefficient: float = 0.0, **given
) -> pd.DataFrame:
    n = len(texts)
    table = pd.DataFrame({"prompt_id": list(ids or "abcdefgh"[:n]), "text": list(texts)})
    condition = "base" if coefficient == 0 else "bypass"
    table = table.assign(dataset="harmful", split="test", label="harmful", method=method, condition=condition)
    table = table.assign(coefficient=coefficient, prompt=[f"What is {name}?" for name in table["prompt_id"]])
    return table.assign(token_ids=[[1, 2]] * n, unsteered_logprobs=[[-0.1, -9.0]] * n, **given)


def verdicts(said: pd.DataFrame, *, second: str = "declines") -> pd.DataFrame:
    refused = said["text"].str.contains("cannot")
    table = said[["prompt_id"]].assign(judge="phrases", refused=refused, second_judge=second)
    table = table.assign(second_refused=said["text"].str.contains("no"), second_score=0.55, loop_share=0.1)
    return table.assign(improbable_share=0.0, degenerate=said["text"].str.contains("zz"))


def gathered(*runs: tuple[str, pd.DataFrame], model: str = "mine") -> pd.DataFrame:
    return gather_texts([(model, run, said, verdicts(said)) for run, said in runs])


def test_a_text_stands_once_with_all_that_wrote_it_and_the_unsteered_one_comes_first():
    steered = responses("Yes.", "I cannot.", "Yes.", ids="aba", method="dim", coefficient=-1.0)
    texts = gathered(("test", steered), ("base", responses("Yes.", "No zz.")))
    assert list(zip(texts["prompt_id"], texts["text"], strict=True)) == [
        ("a", "Yes."),
        ("b", "No zz."),
        ("b", "I cannot."),
    ]
    assert texts["written"][0] == [("dim", "test", "bypass", -1.0, 2), ("none", "base", "base", 0.0, 1)]


def test_verdicts_of_other_prompts_are_refused():
    said = responses("Yes.", "No.")
    with pytest.raises(ValueError, match=r"mine, run 'test', are not of the same prompts"):
        gather_texts([("mine", "test", said, verdicts(said).iloc[::-1])])


def test_marks_are_phrases_words_that_weigh_and_improbable_tokens():
    row = {"prompt": "p", "text": "I *cannot* yes", "token_ids": [5, 6], "unsteered_logprobs": [-0.1, np.nan]}
    marks = marks_of(row, phrases=PHRASES, declines=JUDGE, spans=lambda text, ids: [(0, 9), (9, 14)])
    shown = [(row["text"][start:end], kind) for start, end, kind in marks]
    assert shown == [("I *cannot", "p"), ("cannot", "d"), ("* yes", "i"), ("yes", "c")]
    assert marks_of(row, phrases=[], declines=None, spans=lambda text, ids: []) == []


def page(folder: Path, texts: pd.DataFrame, marks=None) -> Path:
    values = page_values(texts, marks or [[] for _ in range(len(texts))])
    values |= {"max_repetition": 0.45, "max_improbable": 0.04}
    out = folder / "texts.html"
    write_page(TEMPLATE, out, {"study": in_script(values), "n_texts": len(texts)})
    return out


def small(folder: Path) -> Path:
    base = responses("I cannot, no.", HOSTILE, "Yes zz.")
    steered = responses("Yes, sir.", "I cannot.", "Yes, no.", method="dim", coefficient=-1.0)
    return page(folder, gathered(("base", base), ("test", steered)))


def test_texts_cannot_leave_their_element(tmp_path):
    written = small(tmp_path).read_text("utf-8")
    assert Page(written).scripts == 2
    (study,) = re.findall(r'id="study">(.*?)</script>', written, re.DOTALL)
    assert HOSTILE in [text[2] for text in json.loads(study)["texts"]]
    assert loaded_by(written) == []


KEYS = """
  const press = key => document.activeElement.dispatchEvent(new window.KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
  const choose = (name, value) => { const field = document.getElementById("filters").elements[name];
    if (field.type === "checkbox") field.checked = value; else field.value = value;
    field.dispatchEvent(new window.Event("input", {bubbles: true})); };
  const cards = () => [...document.querySelectorAll(".text-card")];
  const said = () => document.getElementById("said").textContent;
"""


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_works_from_disk_and_fits(width, tmp_path):
    look = """
      const root = document.documentElement;
      return {title: document.title, bold: document.querySelectorAll(".text b").length, n: cards().length, said: said(),
              texts: cards().map(card => card.querySelector(".text").textContent), shown: root.clientWidth, needed: root.scrollWidth};
    """
    seen = visit(small(tmp_path), width, tmp_path, script=KEYS + look)
    assert seen.console == []
    assert seen.found["title"] == "The texts of this study"
    assert (seen.found["n"], seen.found["bold"]) == (6, 0)
    assert HOSTILE in seen.found["texts"]
    assert seen.found["said"] == (
        "6 texts, written 6 times: 2 refused, 3 complied, 1 degenerate; the judges differ on 1."
    )
    assert seen.found["needed"] <= seen.found["shown"] <= width


@needs_browser
def test_filters_leave_what_is_asked_for(tmp_path):
    look = """
      const found = {};
      const count = (name, value) => { choose(name, value); found[name + " " + value] = cards().length; document.getElementById("clear").click(); };
      count("verdict", "refused"); count("verdict", "degenerate"); count("second", "refused"); count("differ", true);
      count("method", "dim"); count("run", "base"); count("words", "SIR"); count("words", "what is b"); count("near", true); count("words", "nowhere");
      choose("blind", true);
      found.blind = [said(), document.querySelectorAll(".verdicts, .text mark").length, cards()[0].className];
      return found;
    """
    found = visit(small(tmp_path), 1280, tmp_path, script=KEYS + look).found
    assert found.pop("blind") == ["6 texts, written 6 times.", 0, "text-card "]
    assert found == {
        "verdict refused": 2,
        "verdict degenerate": 1,
        "second refused": 3,
        "differ true": 1,
        "method dim": 3,
        "run base": 3,
        "words SIR": 1,
        "words what is b": 2,
        "near true": 6,
        "words nowhere": 0,
    }


@needs_browser
def test_keys_label_texts_and_the_file_is_one_that_judges_are_measured_on(tmp_path):
    look = """
      document.body.focus();
      press("j"); press("r"); press("c"); press("r"); press("u"); press("c"); press("c"); press("x");
      return {csv: window.csv(), place: document.activeElement.dataset.place, kept: document.getElementById("kept").textContent,
              pressed: cards().map(card => [...card.querySelectorAll("[aria-pressed=true]")].map(each => each.dataset.label))};
    """
    seen = visit(small(tmp_path), 390, tmp_path, script=KEYS + look)
    assert seen.console == []
    assert seen.found["pressed"] == [["refused"], ["complied"], ["complied"], ["complied"], [], []]
    assert seen.found["place"] == "5"
    assert seen.found["kept"].startswith("4 of these texts labelled.")
    path = tmp_path / "labels.csv"
    path.write_bytes(seen.found["csv"].encode())
    table = read_labels(path)
    assert list(table["truth"]) == ["refused", "complied", "complied", "complied"]
    assert set(table["label"]) == {"harmful"}
    assert HOSTILE in set(table["text"])


@needs_browser
def test_marks_stand_where_a_reader_sees_them_also_behind_signs_of_two_units(tmp_path):
    said = responses("\U0001f600 I cannot say.")
    path = page(tmp_path, gathered(("base", said)), [[(2, 10, "p"), (4, 10, "d")]])
    look = "return [...document.querySelectorAll('.text mark')].map(mark => [mark.textContent, mark.className, mark.title]);"
    assert visit(path, 1280, tmp_path, script=look).found == [
        ["I ", "is-p", "refusal phrase"],
        ["cannot", "is-p is-d", "refusal phrase, counts for declining"],
    ]


@needs_browser
def test_twenty_thousand_texts_are_searched_and_turned(tmp_path):
    n = 20_000
    said = responses(
        *(f"Answer {i} of many, which is long enough to be one." for i in range(n)),
        ids=[f"id{i}" for i in range(n)],
    )
    path = page(tmp_path, gathered(("base", said)))
    look = """
      const found = [said(), cards().length];
      choose("words", "answer 19999"); found.push(cards().length);
      document.getElementById("clear").click();
      choose("order", "random"); document.getElementById("after").click(); found.push(document.getElementById("place").textContent);
      return found;
    """
    seen = visit(path, 1280, tmp_path, script=KEYS + look)
    assert seen.console == []
    assert seen.found[0].startswith("20,000 texts, written 20,000 times: 0 refused, 20,000 complied")
    assert seen.found[1:] == [25, 1, "26 to 50 of 20,000"]


def test_the_rule_writes_the_page(load_script, fake_study, tmp_path):
    folder = fake_study.root / "results/pocket-llama"
    load_script("write_texts").main(
        cards=[folder / "model.json"],
        responses=[folder / run / "responses.parquet" for run in ("none/base", "dim/test")],
        verdicts=[folder / run / "verdicts.parquet" for run in ("none/base", "dim/test")],
        phrases=ROOT / "resources/refusal_phrases.yaml",
        weights=ROOT / "resources/judges/declines.csv",
        max_repetition=0.45,
        max_improbable=0.04,
        template=TEMPLATE,
        page=tmp_path / "texts.html",
    )
    (study,) = re.findall(
        r'id="study">(.*?)</script>', (tmp_path / "texts.html").read_text("utf-8"), re.DOTALL
    )
    found = json.loads(study)
    assert found["second"] == "declines"
    assert {text[3] for text in found["texts"]} == {0, 1}
    refusal = next(text for text in found["texts"] if text[2].startswith("I'm sorry"))
    assert [0, 9, "p"] in refusal[10]
