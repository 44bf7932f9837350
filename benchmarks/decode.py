"""Steered decoding against plain transformers, unsteered, on the same batch: alternating, minimum of several runs."""

from __future__ import annotations

import time

import torch
from freezing import endless
from rows import measured
from transformers import AutoModelForCausalLM

from steering_study.models.batches import left_pad
from steering_study.models.chat import render_chat
from steering_study.models.decoding import generate
from steering_study.models.hooks import Steering

N_ROWS, N_NEW = 32, 48


def benchmark_decode(source: str, *, repeats: int) -> list[dict]:
    """One row: seconds of a steered decode of 32 prompts, 48 new tokens, and of transformers' `generate` without a vector."""
    model, theirs = endless(source), AutoModelForCausalLM.from_pretrained(source).eval()
    prompts = render_chat(
        model.tokenizer, [f"Tell me about item {i}." for i in range(N_ROWS)], context=model.card.context
    )
    vector = torch.randn(model.card.d_model, generator=torch.Generator().manual_seed(0))
    steering = Steering.uniform(vector, layer=model.card.n_layers // 2, coefficients=[0.1] * N_ROWS)
    batch = left_pad(prompts, pad=model.pad_id, device="cpu")

    def steered() -> float:
        start = time.perf_counter()
        generate(model, prompts, max_new_tokens=N_NEW, batch_size=N_ROWS, steering=steering)
        return time.perf_counter() - start

    def plain() -> float:
        start = time.perf_counter()
        theirs.generate(
            batch.ids,
            attention_mask=batch.mask,
            do_sample=False,
            min_new_tokens=N_NEW,
            max_new_tokens=N_NEW,
            pad_token_id=model.pad_id,
        )
        return time.perf_counter() - start

    steered(), plain()
    pairs = [(steered(), plain()) for _ in range(repeats)]
    ours, other = (min(column) for column in zip(*pairs, strict=True))
    return [
        measured(
            "steered / unsteered decode: time",
            ours,
            "s",
            f"{source}, {N_ROWS} rows, {N_NEW} new tokens, {torch.get_num_threads()} threads",
            other=other,
        )
    ]
