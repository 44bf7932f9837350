"""The folder for others, written from the made-up study."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.circuits.frames import GRAPH, stored_rankings
from tests.fake_study import MODELS, ROOT, card

from steering_study.circuits.schemas import RANKINGS
from steering_study.steering.schemas import DOSE_RESPONSE
from steering_study.store.artifacts import (
    read_arrays,
    read_json,
    read_provenance,
    read_table,
    write_arrays,
    write_json,
    write_table,
)

METHODS = ("dim", "ntp")
CONFIG = yaml.safe_load((ROOT / "config/study.yaml").read_text("utf-8"))
MADE = {"layer": GRAPH.layer, "norm": 1.0, "revision": card(MODELS[0])["revision"]}
SHAPES = {"n_layers": GRAPH.n_layers, "n_heads": GRAPH.n_heads, "n_kv_heads": GRAPH.n_kv_heads}


@pytest.fixture(scope="module")
def results(fake_study):
    """The made-up study with vectors and rankings."""
    folder = fake_study.root / "results"
    rng = np.random.default_rng(0)
    for model in MODELS:
        write_json(folder / model / "model.json", {**card(model), **SHAPES})
        for method in METHODS:
            where = folder / model / method
            vector = rng.normal(size=card(model)["d_model"]).astype(np.float32)
            made = {"rule": "select_direction", "inputs": {"/home/me/prompts.csv": "0a"}}
            write_arrays(where / "vector.safetensors", {"vector": vector}, provenance=made)
            write_json(where / "vector.json", {**MADE, "model": model, "method": method, "position": -1})
            write_json(where / "coefficients.json", {"induce": 1.2, "bypass": -1.0})
            ranked = stored_rankings(method)
            write_table(where / "rankings.parquet", ranked, RANKINGS, provenance={"rule": "build_circuits"})
    return folder


@pytest.fixture
def written(results, load_script, tmp_path):
    """Write the folder with the vectors of some models."""

    def write(*, vector_models):
        tables = [
            *sorted(results.glob("*/neurons.parquet")),
            *sorted(results.glob("*/dim/dose_response.parquet")),
            results / "summary/ablation_means.parquet",
        ]
        load_script("write_export").main(
            results=results,
            models=MODELS,
            vector_models=vector_models,
            methods=METHODS,
            circuit_methods=METHODS,
            tables=tables,
            template=ROOT / "workflow/report/export.md.j2",
            licence=ROOT / "LICENSE",
            citation_file=ROOT / "CITATION.cff",
            config={**CONFIG, "prompts": {**CONFIG["prompts"], "mirror": "/home/me/mirror"}},
            code="0a1b",
            folder=tmp_path / "export",
        )
        return tmp_path / "export"

    return write


def test_vectors_are_copied_with_a_card_and_without_paths_of_the_machine(results, written):
    folder = written(vector_models=MODELS)
    for model in MODELS:
        for method in METHODS:
            stem = folder / "vectors" / model / method
            ours = read_arrays(results / model / method / "vector.safetensors")["vector"]
            assert (read_arrays(stem.with_suffix(".safetensors"))["vector"] == ours).all()
            told = read_json(stem.with_suffix(".json"))
            assert told["norm"] == pytest.approx(np.linalg.norm(ours))
            assert read_provenance(stem.with_suffix(".safetensors"))["inputs"] == {"prompts.csv": "0a"}
    assert not [p for p in folder.rglob("*") if p.is_file() and b"/home/me" in p.read_bytes()]


def test_vectors_that_stay_are_named(written, capsys):
    folder = written(vector_models=MODELS[:1])
    assert [path.name for path in (folder / "vectors").iterdir()] == [MODELS[0]]
    assert capsys.readouterr().err.splitlines() == [
        f"Vectors of {MODELS[1]} are left out: export.vectors is 'bundled' (README.md, Responsible use)."
    ]
    page = (folder / "README.md").read_text("utf-8")
    assert f"Vectors of {MODELS[1]} are left out" in page
    assert (folder / "circuits" / MODELS[1] / "dim.csv").exists()


def test_without_vectors_the_page_shows_no_lines_to_load_them(written):
    page = (written(vector_models=()) / "README.md").read_text("utf-8")
    assert "```python" not in page
    assert "safetensors` |" not in page


def test_tables_keep_their_places_and_are_described(results, written):
    folder = written(vector_models=MODELS)
    described = {entry["path"]: entry for entry in read_json(folder / "datapackage.json")["resources"]}
    for model in MODELS:
        path = f"tables/{model}/dim/dose_response.parquet"
        copy = read_table(folder / path, DOSE_RESPONSE)
        assert copy.equals(read_table(results / model / "dim/dose_response.parquet", DOSE_RESPONSE))
        assert described[path]["rows"] == len(copy) == len(pd.read_csv((folder / path).with_suffix(".csv")))
    assert described["tables/summary/ablation_means.csv"]["table"] == "ablation_means"


def test_an_old_folder_is_replaced_as_a_whole(written):
    first = written(vector_models=MODELS)
    listed = (first / "SHA256SUMS").read_text("utf-8")
    (first / "tables" / "old.csv").write_text("x\n", "utf-8")
    again = written(vector_models=MODELS)
    assert (again / "SHA256SUMS").read_text("utf-8") == listed
    assert not (again / "tables" / "old.csv").exists()


def test_vector_of_other_weights_ends_the_job(results, written):
    path = results / MODELS[0] / "ntp/vector.json"
    before = read_json(path)
    write_json(path, {**before, "revision": "f" * 64})
    with pytest.raises(ValueError, match="was made for revision ffffffffffff"):
        written(vector_models=MODELS)
    write_json(path, before)
