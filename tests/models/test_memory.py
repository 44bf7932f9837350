"""Batch sizes that the config leaves open follow from a GPU's memory."""

from dataclasses import replace

import pytest
import torch

from steering_study.models import memory
from steering_study.models.loading import ChatModel
from steering_study.models.memory import MOST_ROWS, fitting_rows, row_bytes, scored_rows, usable_bytes
from steering_study.models.sizes import BYTES, OPEN_ROWS

GIB = 2**30
GPU = torch.device("cuda")


@pytest.fixture
def on_gpu(tiny, monkeypatch):
    """A model that says it is on a GPU."""
    monkeypatch.setattr(ChatModel, "device", property(lambda _: GPU))
    return tiny.model


def test_bytes_of_a_row_are_those_of_the_formula(tiny):
    shape = {"n_layers": 26, "n_heads": 8, "n_kv_heads": 4, "d_head": 256, "dtype": "bfloat16"}
    card = replace(tiny.model.card, **shape, d_model=2304, d_mlp=9216, d_vocab=256000)
    keys_and_values = 2 * 26 * 4 * 256 * 600 * 2
    block = (8 * 2304 + 3 * 9216) * 600 * 2 + 3 * 8 * 600**2 * 4
    logits = 3 * 256000 * 4
    assert row_bytes(card, 600, 1) == keys_and_values + block + logits
    assert row_bytes(card, 600, 2) == 2 * row_bytes(card, 600, 1)


def test_a_given_batch_size_stands_and_a_cpu_has_a_fixed_one(tiny, monkeypatch):
    monkeypatch.setattr(memory, "usable_bytes", lambda device: pytest.fail("memory was looked at"))
    assert fitting_rows(tiny.model, 7, n_tokens=100) == 7
    assert fitting_rows(tiny.model, None, n_tokens=100) == OPEN_ROWS


@pytest.mark.parametrize(("rows", "expected"), [(0, 1), (1, 1), (5, 5), (10 * MOST_ROWS, MOST_ROWS)])
def test_a_gpu_takes_as_many_rows_as_fit_but_at_least_one(on_gpu, monkeypatch, rows, expected):
    each = row_bytes(on_gpu.card, 100, 1)
    monkeypatch.setattr(memory, "usable_bytes", lambda device: rows * each + each // 2)
    assert fitting_rows(on_gpu, None, n_tokens=100) == expected


def test_longer_texts_and_second_streams_leave_room_for_fewer(on_gpu, monkeypatch):
    each = row_bytes(on_gpu.card, 64, 1)
    monkeypatch.setattr(memory, "usable_bytes", lambda device: 100 * each)
    assert fitting_rows(on_gpu, None, n_tokens=64, streams=2) == 50
    assert fitting_rows(on_gpu, None, n_tokens=256) < 25


def test_what_a_row_takes_besides_leaves_room_for_fewer(on_gpu, monkeypatch):
    each = row_bytes(on_gpu.card, 64, 1)
    besides = each // BYTES[on_gpu.card.dtype]
    monkeypatch.setattr(memory, "usable_bytes", lambda device: 100 * each)
    assert fitting_rows(on_gpu, None, n_tokens=64, values=besides) == 50


@pytest.mark.parametrize(("max_logits", "expected"), [(1, 1), (5 * 10, 5), (10**9, 7)])
def test_rows_whose_logits_are_formed_are_bounded_by_them(tiny, max_logits, expected):
    n_vocab = tiny.model.card.d_vocab
    found = scored_rows(tiny.model, 7, n_tokens=100, n_scored=10, max_logits=max_logits * n_vocab)
    assert found == expected


def test_half_of_what_is_free_and_what_torch_holds_in_reserve(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6 * GIB, 24 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * GIB)
    assert usable_bytes(GPU) == 4 * GIB
