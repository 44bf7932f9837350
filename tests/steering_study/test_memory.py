"""Batch sizes that the config leaves open follow from memory, and change no text."""

from dataclasses import replace

import psutil
import pytest
import torch

from steering_study import memory
from steering_study.memory import MOST_ROWS, fitting_rows, row_bytes
from steering_study.prompts import render_chat
from steering_study.runs import generate

GIB = 2**30


def test_bytes_of_a_row_are_those_of_the_formula(tiny):
    shape = {"n_layers": 26, "n_heads": 8, "n_kv_heads": 4, "d_head": 256}
    card = replace(tiny.model.card, **shape, d_model=2304, d_mlp=9216, d_vocab=256000)
    keys_and_values = 2 * 26 * 4 * 256 * 600 * 2
    block = (8 * 2304 + 3 * 9216) * 600 * 2 + 3 * 8 * 600**2 * 4
    logits = 3 * 256000 * 4
    one = row_bytes(card, n_tokens=600, streams=1, itemsize=2)
    assert one == keys_and_values + block + logits
    assert row_bytes(card, n_tokens=600, streams=2, itemsize=2) == 2 * one


def test_a_given_batch_size_stands(tiny, monkeypatch):
    monkeypatch.setattr(memory, "usable_bytes", lambda device: pytest.fail("memory was looked at"))
    assert fitting_rows(tiny.model, 7, n_tokens=100) == 7


@pytest.mark.parametrize(("rows", "expected"), [(0, 1), (1, 1), (5, 5), (10 * MOST_ROWS, MOST_ROWS)])
def test_as_many_rows_as_fit_but_at_least_one(tiny, monkeypatch, rows, expected):
    each = row_bytes(tiny.model.card, n_tokens=100, streams=1, itemsize=4)
    monkeypatch.setattr(memory, "usable_bytes", lambda device: rows * each + each // 2)
    assert fitting_rows(tiny.model, None, n_tokens=100) == expected


def test_longer_texts_and_second_streams_leave_room_for_fewer(tiny, monkeypatch):
    each = row_bytes(tiny.model.card, n_tokens=64, streams=1, itemsize=4)
    monkeypatch.setattr(memory, "usable_bytes", lambda device: 100 * each)
    assert fitting_rows(tiny.model, None, n_tokens=64, streams=2) == 50
    assert fitting_rows(tiny.model, None, n_tokens=256) < 25


def test_memory_that_others_hold_counts_on_the_cpu_and_what_torch_reserves_counts_on_a_gpu(monkeypatch):
    class Machine:
        available = 40 * GIB

    monkeypatch.setattr(psutil, "virtual_memory", Machine)
    assert memory.usable_bytes(torch.device("cpu")) == 4 * GIB
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6 * GIB, 24 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * GIB)
    assert memory.usable_bytes(torch.device("cuda")) == 4 * GIB


def test_texts_are_the_same_whatever_memory_allows(tiny, monkeypatch):
    prompts = render_chat(tiny.model.tokenizer, ["Hello!", "How do I bake bread?", "Why?"], context=256)
    texts = []
    for rows in (1, 3):
        monkeypatch.setattr(memory, "usable_bytes", lambda device, rows=rows: rows * 10**12)
        monkeypatch.setattr(memory, "row_bytes", lambda *_, **__: 10**12)
        texts.append([r.token_ids for r in generate(tiny.model, prompts, max_new_tokens=8, batch_size=None)])
    assert texts[0] == texts[1]
