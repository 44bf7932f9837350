"""Decoding with frozen attention weights against unsteered decoding, and both over the length of the text."""

from __future__ import annotations

import time

import torch
from rows import measured

from steering_study.attention.ablations import parse_ablation
from steering_study.attention.freezing import Treatment, generate_frozen
from steering_study.models.card import describe_model
from steering_study.models.chat import render_chat
from steering_study.models.decoding import generate
from steering_study.models.loading import ChatModel, load_model

N_ROWS, N_NEW = 32, 64
LENGTHS = (64, 128, 256, 512)


def benchmark_freezing(source: str, *, repeats: int) -> list[dict]:
    """Rows of each ablation at one length, and of frozen weights at several."""
    model = endless(source)
    prompts = render_chat(
        model.tokenizer, [f"Tell me about item {i}." for i in range(N_ROWS)], context=model.card.context
    )
    vector = 0.1 * torch.randn(model.card.d_model, generator=torch.Generator().manual_seed(0))
    layer = model.card.n_layers // 2

    def frozen(name: str, n_new: int) -> float:
        treatments = [Treatment(vector, "all", parse_ablation(name))] * N_ROWS
        start = time.perf_counter()
        generate_frozen(
            model,
            prompts,
            treatments,
            layer=layer,
            max_new_tokens=n_new,
            batch_size=N_ROWS,
            label="benchmark",
        )
        return time.perf_counter() - start

    def plain(n_new: int) -> float:
        start = time.perf_counter()
        generate(model, prompts, max_new_tokens=n_new, batch_size=N_ROWS)
        return time.perf_counter() - start

    plain(N_NEW)
    names = ("none", "qk", "ov", "svv", "mlp", f"ov@a{layer}.h0")
    runs = [{"plain": plain(N_NEW), **{name: frozen(name, N_NEW) for name in names}} for _ in range(repeats)]
    least = {name: min(run[name] for run in runs) for name in runs[0]}
    setting = (
        f"{source} steered at {layer}, {N_ROWS} rows, {N_NEW} new tokens, {torch.get_num_threads()} threads"
    )
    rows = [
        measured(f"frozen {name} / decode: time", least[name], "s", setting, other=least["plain"])
        for name in names
    ]
    for n in LENGTHS:
        pairs = [(frozen("qk", n), plain(n)) for _ in range(max(1, repeats // 2))]
        ours, other = (1000 * min(column) / n for column in zip(*pairs, strict=True))
        rows.append(
            measured(f"frozen qk / decode, {n} tokens: time a token", ours, "ms", setting, other=other)
        )
    return rows


def endless(source: str) -> ChatModel:
    """A model that no token ends and no context limits, so that every run does the same number of steps."""
    card = describe_model("benchmark", source, revision=None, dtype="float32", template={})
    return load_model(type(card)(**{**vars(card), "end_of_turn_ids": (card.d_vocab + 1,), "context": 2048}))
