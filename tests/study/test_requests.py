"""What jobs ask for, against weights on disk, measured memory, published sizes and sums by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import yaml
from snakemake.utils import update_config
from tests.conftest import REPOSITORY
from tests.models.cards import GEMMA, LLAMA, POCKET

from steering_study.models.sizes import count_parameters
from steering_study.study.config import load_study
from steering_study.study.requests import (
    Load,
    file_memory_mb,
    held_bytes,
    is_worth_a_gpu,
    judge_memory_mb,
    loads_of,
    memory_mb,
    minutes,
)

# Largest resident MB of the default study's jobs, by kind (docs/running/resources.md), and what Snakemake takes of a SLURM job
MEASURED = {
    "passes": 840,
    "answers": 1000,
    "contrasts": 680,
    "sparse_answers": 1000,
    "paired_answers": 1180,
    "training": 910,
    "circuits": 840,
    "backward": 820,
}
SNAKEMAKE = 330

on_cpu = partial(memory_mb, on_gpu=False, attempt=1)


@pytest.fixture(scope="module")
def config() -> dict:
    return yaml.safe_load((REPOSITORY / "config/study.yaml").read_text("utf-8"))


def test_circuits_hold_what_all_sources_change_in_the_rows_that_logits_leave():
    plain = Load(new_tokens=512, scored_rows=32)
    extra = held_bytes(LLAMA, replace(plain, runs_circuits=True)) - held_bytes(LLAMA, plain)
    rows = 2**28 // (512 * 128_256)
    assert rows == 4
    assert extra == rows * 3 * (1 + 28 * 25) * 640 * 3072 * 2


def test_the_default_study_fits_and_wastes_no_machine(config):
    loads = loads_of(load_study(config))
    assert set(loads) == set(MEASURED)
    for kind, measured in MEASURED.items():
        assert measured + SNAKEMAKE < on_cpu(POCKET, loads[kind]) < 4000, kind


def test_the_page_states_what_jobs_ask_for(config):
    paper = yaml.safe_load((REPOSITORY / "config/study.yaml").read_text("utf-8"))
    update_config(paper, yaml.safe_load((REPOSITORY / "config/paper.yaml").read_text("utf-8")))
    here, there = loads_of(load_study(config)), loads_of(load_study(paper))
    page = (REPOSITORY / "docs/running/resources.md").read_text("utf-8")
    for kind, words in (
        ("passes", "passes over prompts: "),
        ("answers", "texts: "),
        ("paired_answers", "texts under ablations or circuits: "),
        ("circuits", "circuits: "),
        ("backward", "backward passes: "),
        ("training", "training: "),
    ):
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {words}`")]
        asked = [
            on_cpu(POCKET, here[kind]),
            on_cpu(LLAMA, there[kind]),
            memory_mb(LLAMA, there[kind], on_gpu=True, attempt=1),
        ]
        assert [int(cell.replace(",", "")) for cell in row.split("|")[2:5]] == asked, kind


def test_memory_follows_the_config(config):
    before = loads_of(load_study(config))
    config = {**config, "generation": {**config["generation"], "batch_size": 1024}}
    config["circuits"] = {**config["circuits"], "tokens_per_pass": 8192}
    after = loads_of(load_study(config))
    grown = {kind for kind in before if on_cpu(LLAMA, after[kind]) > on_cpu(LLAMA, before[kind])}
    assert grown == {"answers", "contrasts", "sparse_answers", "paired_answers", "backward"}


def test_memory_and_minutes_grow_by_half_with_each_attempt():
    load = Load(new_tokens=512, rows=16)
    memory = [memory_mb(LLAMA, load, on_gpu=False, attempt=attempt) for attempt in (1, 2, 3)]
    lasting = [minutes(LLAMA, per_billion=80, attempt=attempt) for attempt in (1, 2, 3)]
    for values in (memory, lasting):
        assert values[1] == pytest.approx(1.5 * values[0], abs=2)
        assert values[2] == pytest.approx(2.25 * values[0], abs=2)


def test_a_small_model_has_half_an_hour_and_a_large_one_hours():
    assert minutes(POCKET, per_billion=80, attempt=1) == 31
    assert 240 < minutes(LLAMA, per_billion=80, attempt=1) < 360


def test_beside_a_gpu_the_machine_holds_the_weights_alone():
    small, large = (Load(new_tokens=512, rows=rows) for rows in (1, 512))
    beside = partial(memory_mb, on_gpu=True, attempt=1)
    assert beside(LLAMA, small) == beside(LLAMA, large)
    assert beside(LLAMA, small) > 2 * count_parameters(LLAMA) / 1e6
    assert on_cpu(LLAMA, large) > on_cpu(LLAMA, small)


def test_no_text_is_longer_than_the_context():
    load = Load(new_tokens=10_000, rows=8)
    assert on_cpu(POCKET, load) == on_cpu(POCKET, replace(load, new_tokens=20_000))


def test_large_models_alone_wait_for_a_gpu():
    assert [is_worth_a_gpu(card) for card in (POCKET, GEMMA, LLAMA)] == [False, True, True]


def test_judges_are_held_side_by_side_and_a_folder_is_as_large_as_its_files(tmp_path):
    memory = partial(judge_memory_mb, on_gpu=False, attempt=1)
    (tmp_path / "model.safetensors").write_bytes(bytes(50_000_000))
    folder = {"own": {"source": str(tmp_path)}}
    assert memory(folder) == 1200 + 100
    assert memory({"llama_guard_2": {}}) == 1200 + 2 * 2 * 8000
    assert memory({**folder, "llama_guard_2": {"dtype": "float32"}}) == 1200 + 100 + 2 * 4 * 8000
    assert memory({}) == 1000
    (tmp_path / "adapter_config.json").touch()
    assert memory(folder) == 1200 + 2 * 2 * 8000 + 100
    assert memory({"own": {"source": str(tmp_path), "base_model": str(tmp_path)}}) == 1200 + 200


def test_memory_of_a_file_is_unknown_before_it_is_there(tmp_path):
    path = tmp_path / "scores"
    with pytest.raises(FileNotFoundError):
        file_memory_mb(path, attempt=1)
    path.write_bytes(bytes(10_000_000))
    assert file_memory_mb(path, attempt=1) == 2040
