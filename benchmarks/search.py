"""A search of learned vectors: all trials side by side in one process, against one process a trial.

Both get the whole machine: one process with a thread a core, or as many processes at once as there are cores.
Every process loads the model anew, as a job of the workflow does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from rows import measured

N_PAIRS, N_PROMPT_WORDS, N_RESPONSE, EPOCHS = 96, 8, 24, 2
RATES = (0.01, 0.02, 0.04, 0.08)


def benchmark_search(source: str, *, repeats: int) -> list[dict]:
    """One row: seconds of a PO search of four trials, the two ways alternating, minimum of several runs."""
    n_cores = len(os.sched_getaffinity(0))

    def work(rates: tuple[float, ...], threads: int) -> None:
        command = [sys.executable, __file__, source, "--rates", *map(str, rates)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})

    def together() -> float:
        start = time.perf_counter()
        work(RATES, n_cores)
        return time.perf_counter() - start

    def apart() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(n_cores) as pool:
            list(pool.map(lambda rate: work((rate,), 1), RATES))
        return time.perf_counter() - start

    runs = [(together(), apart()) for _ in range(repeats)]
    ours, other = (min(column) for column in zip(*runs, strict=True))
    return [
        measured(
            "search of four trials, side by side / one process a trial: time",
            ours,
            "s",
            f"{source}, PO, {N_PAIRS} pairs, {EPOCHS} epochs, {n_cores} cores",
            other=other,
        )
    ]


def search(source: str, rates: list[float]) -> None:
    """Train one vector a learning rate on made-up pairs."""
    import torch

    from steering_study.models.card import describe_model
    from steering_study.models.chat import render_chat
    from steering_study.models.loading import load_model
    from steering_study.vectors.learned import Pair, Trial, force_pairs, train_trials
    from steering_study.vectors.methods.po import OBJECTIVE

    model = load_model(describe_model("benchmark", source, revision=None, dtype="float32", template={}))
    draw = torch.Generator().manual_seed(0)
    texts = [" ".join(["word"] * N_PROMPT_WORDS) + f" {i}" for i in range(N_PAIRS)]
    prompts = render_chat(model.tokenizer, texts, context=model.card.context)
    responses = torch.randint(10, model.card.d_vocab, (2, N_PAIRS, N_RESPONSE), generator=draw).tolist()
    pairs = [
        Pair(prompt, tuple(desired), tuple(undesired), sign=1.0 if i % 2 else -1.0)
        for i, (prompt, desired, undesired) in enumerate(zip(prompts, *responses, strict=True))
    ]
    forced = force_pairs(model, pairs, layer=model.card.n_layers // 2, batch_size=N_PAIRS)
    trials = [
        Trial(rate, batch_size=12, epochs=EPOCHS, seed=42, max_gradient_norm=None, factors=(1.0,), phi=0.02)
        for rate in rates
    ]
    train_trials(forced, None, trials, objective=OBJECTIVE, batch_size=N_PAIRS, label="search")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--rates", type=float, nargs="+", required=True)
    arguments = parser.parse_args()
    search(arguments.source, arguments.rates)
