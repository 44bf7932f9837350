"""Texts under many sparse vectors: all cells as rows of large batches, against one run a cell in the same process.

A cell is one vector on one set of prompts. Loading the model, which a job a cell would do each time, is left out of both.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from rows import measured

from steering_study.models.batches import TokenIds
from steering_study.models.card import describe_model
from steering_study.models.chat import render_chat
from steering_study.models.decoding import generate
from steering_study.models.hooks import Steering
from steering_study.models.loading import load_model
from steering_study.sparsity.sparsify import Grid, plain_vectors

N_PROMPTS, N_NEW, BATCH_SIZE = 10, 32, 128
GRID = Grid(percents=(30.0, 50.0, 80.0, 90.0, 95.0), thresholds=(), draws=5)


def benchmark_sparsity(source: str, *, repeats: int) -> list[dict]:
    """One row: seconds of a grid of sparse vectors, the two ways alternating, minimum of several runs."""
    model = load_model(describe_model("benchmark", source, revision=None, dtype="float32", template={}))
    prompts = render_chat(
        model.tokenizer, [f"Tell me about item {i}." for i in range(N_PROMPTS)], context=model.card.context
    )
    draw = np.random.default_rng(0)
    vector, effects = 0.1 * draw.normal(size=model.card.d_model), draw.normal(size=model.card.d_model)
    sparse = plain_vectors(vector, effects, GRID, seed=0)
    vectors = torch.from_numpy(np.stack([each.of(vector) for each in sparse])).float()

    def run(chosen: torch.Tensor, asked: list[TokenIds]) -> None:
        rows = len(asked)
        steering = Steering(chosen, torch.ones(rows), torch.full((rows,), model.card.n_layers // 2))
        generate(model, asked, max_new_tokens=N_NEW, batch_size=BATCH_SIZE, steering=steering)

    def together() -> float:
        start = time.perf_counter()
        run(vectors.repeat_interleave(N_PROMPTS, 0), prompts * len(vectors))
        return time.perf_counter() - start

    def apart() -> float:
        start = time.perf_counter()
        for one in vectors:
            run(one.expand(N_PROMPTS, -1), prompts)
        return time.perf_counter() - start

    together()
    runs = [(together(), apart()) for _ in range(repeats)]
    ours, other = (min(column) for column in zip(*runs, strict=True))
    return [
        measured(
            "sparsity batched / one by one: time",
            ours,
            "s",
            f"{source}, {len(vectors)} vectors, {N_PROMPTS} prompts a cell, up to {N_NEW} new tokens, "
            f"{torch.get_num_threads()} threads",
            other=other,
        )
    ]
