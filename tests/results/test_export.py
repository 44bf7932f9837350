"""The folder for others holds what the study found, and its vectors steer plain transformers as they steered the study."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from steering_study.circuits.schemas import TOP_EDGES
from steering_study.export.tables import TABLES
from steering_study.judges.phrases import PhraseJudge
from steering_study.store.artifacts import read_json, read_table
from tests.results.conftest import CIRCUIT_METHODS, ROOT
from tests.results.export_lines import answer, begins_with, lines_of, run_lines

FOLDER = ROOT / "export"
ASKED = {"induce": "harmless", "bypass": "harmful"}
PROMPTS = 8  # of each test set
PHRASES = Path(__file__).parents[2] / "resources/refusal_phrases.yaml"


def files_of(folder: Path) -> dict[str, Path]:
    """Files by their places; the mark that Snakemake leaves in a folder is none of them."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path for path in files}


def exported_card(results, method) -> dict:
    """Card of a vector that can be tried here."""
    path = FOLDER / "vectors" / results.model / f"{method}.json"
    if not path.exists():
        pytest.skip("vectors of this model are not exported; export.vectors: all does")
    card = read_json(path)
    if card["dtype"] != "float32":
        pytest.skip("in half precision another batch may choose another token; a float32 model has this test")
    if not Path(card["source"]).is_dir():
        pytest.skip("the weights are in no folder of this repository; a bundled model has this test")
    return card


def test_checksums_are_those_of_all_files():
    listed = dict(
        reversed(line.split("  ")) for line in (FOLDER / "SHA256SUMS").read_text("utf-8").splitlines()
    )
    files = files_of(FOLDER)
    assert set(listed) == set(files) - {"SHA256SUMS"}
    for name, digest in listed.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name
    described = {entry["path"] for entry in read_json(FOLDER / "datapackage.json")["resources"]}
    assert described == set(files) - {"SHA256SUMS", "datapackage.json"}


def test_tables_are_those_of_the_study():
    for entry in read_json(FOLDER / "datapackage.json")["resources"]:
        if entry["format"] == "parquet" and entry["path"].startswith("tables/"):
            table, copy = entry["table"], FOLDER / entry["path"]
            ours = read_table(ROOT / entry["path"].removeprefix("tables/"), TABLES[table])
            pd.testing.assert_frame_equal(read_table(copy, TABLES[table]), ours)
            text = pd.read_csv(copy.with_suffix(".csv"))
            assert list(text) == [field["name"] for field in entry["schema"]["fields"]]
            assert len(text) == len(ours) == entry["rows"]


def test_edge_lists_are_the_minimum_faithful_circuits(results):
    table = results.table("faithfulness.parquet", table="faithfulness")
    for method in CIRCUIT_METHODS:
        stem = FOLDER / "circuits" / results.model / method
        edges, card = (
            read_table(stem.with_suffix(".parquet"), TOP_EDGES),
            read_json(Path(f"{stem}.json")),
        )
        smallest = table[(table["vector_method"] == method) & table["minimum"]]
        assert (smallest["n_edges"] == len(edges)).all()
        assert card["n_edges"] == len(edges)
        assert np.isclose(card["share_of_edges"], smallest["share_of_edges"]).all()
        assert edges["in_circuit"].all()
        assert not edges.duplicated(["src", "dst"]).any()


def test_a_card_says_how_the_vector_was_used(results, method):
    card = exported_card(results, method)
    assert card["layer"] == results.json(f"{method}/vector.json")["layer"]
    assert card["coefficients"] == results.json(f"{method}/coefficients.json")
    rates = results.table("asr.parquet", table="asr").query("method == @method").set_index("dataset")["asr"]
    assert {row["dataset"]: row["asr"] for row in card["attack_success"]} == pytest.approx(dict(rates))


@pytest.mark.parametrize("direction", ASKED)
def test_an_exported_vector_writes_the_texts_of_the_study_and_has_their_attack_success(
    results, method, direction
):
    """The lines of the folder's own README, on test prompts: plain transformers, no code of the study."""
    card = exported_card(results, method)
    lines = lines_of((FOLDER / "README.md").read_text("utf-8"))
    names = run_lines(lines, folder=FOLDER, vector=f"{results.model}/{method}", direction=direction)
    texts = results.table(f"{method}/test/responses.parquet", table="responses")
    verdicts = results.table(f"{method}/test/verdicts.parquet", table="verdicts")
    asked = texts[(texts["condition"] == direction) & (texts["label"] == ASKED[direction])]
    sample = asked.groupby("dataset").head(PROMPTS)
    found = answer(names, list(sample["prompt"]), max_new_tokens=card["decoding"]["max_new_tokens"])
    same = np.array([begins_with(a, b) for a, b in zip(found, sample["token_ids"], strict=True)])
    assert same.mean() >= 0.95  # a near tie between two tokens may fall either way in float32

    stored = verdicts.loc[sample.index]
    if set(stored["judge"]) == {"phrases"}:
        judge = PhraseJudge(tuple(yaml.safe_load(PHRASES.read_text("utf-8"))["phrases"]))
        again = names["tokenizer"].batch_decode(found, skip_special_tokens=True)
        refused = [verdict.refused for verdict in judge.judge(list(sample["prompt"]), again)]
        assert abs(np.mean(refused) - stored["refused"].mean()) <= 1 - same.mean()


def test_no_path_of_this_machine_is_in_a_text_file():
    here = str(Path.cwd())
    for path in files_of(FOLDER).values():
        if path.suffix in (".json", ".md", ".yaml", ".cff"):
            assert here not in path.read_text("utf-8"), path
    assert json.loads((FOLDER / "datapackage.json").read_text("utf-8"))["provenance"]["code"]
