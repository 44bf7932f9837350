"""Steered decoding against unsteered decoding of the same batch, alternating, minimum of several runs."""

from __future__ import annotations

import time

import torch
from freezing import endless
from rows import measured

from steering_study.hooks import Steering
from steering_study.prompts import render_chat
from steering_study.runs import generate

N_ROWS, N_NEW = 32, 48


def benchmark_decode(source: str, *, repeats: int) -> list[dict]:
    """One row: seconds of a steered and of an unsteered decode of 32 prompts, 48 new tokens."""
    model = endless(source)
    prompts = render_chat(
        model.tokenizer, [f"Tell me about item {i}." for i in range(N_ROWS)], context=model.card.context
    )
    vector = torch.randn(model.card.d_model, generator=torch.Generator().manual_seed(0))
    steering = Steering.uniform(vector, layer=model.card.n_layers // 2, coefficients=[0.1] * N_ROWS)

    def seconds(steering: Steering | None) -> float:
        start = time.perf_counter()
        generate(model, prompts, max_new_tokens=N_NEW, batch_size=N_ROWS, steering=steering)
        return time.perf_counter() - start

    seconds(None)
    pairs = [(seconds(steering), seconds(None)) for _ in range(repeats)]
    steered, plain = (min(column) for column in zip(*pairs, strict=True))
    return [
        measured(
            "steered / unsteered decode: time",
            steered,
            "s",
            f"{source}, {N_ROWS} rows, {N_NEW} new tokens, {torch.get_num_threads()} threads",
            other=plain,
        )
    ]
