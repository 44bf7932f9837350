"""Prompts of a tiny model, and a vector of each row's own."""

from __future__ import annotations

import pytest
import torch
from tests.models.steered_prompts import TEXTS

from steering_study.models.chat import render_chat
from steering_study.models.hooks import Steering


@pytest.fixture
def prompts(tiny):
    return render_chat(tiny.model.tokenizer, TEXTS, context=256)


@pytest.fixture
def steering(tiny):
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(len(TEXTS), tiny.model.card.d_model, generator=generator)
    return Steering(vectors, torch.tensor([0.0, 1.5, -2.0, 0.7, -1.0]), torch.tensor([1, 1, 3, 2, 1]))
