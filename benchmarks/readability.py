"""Which texts each measure of readability flags: the model's own, the same ones garbled, and texts under random vectors.

    python benchmarks/readability.py results/pocket-llama results/pocket-gemma

Each folder is a model's, with its card and its unsteered texts (rule `generate_base`). Half of the prompts are there for the
measures that need texts to be set by; the table counts the others. Numbers in docs/judges.md are from here.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from steering_study.judges.degenerate import improbable_share
from steering_study.judges.phrases import contains_phrase
from steering_study.models.decoding import generate
from steering_study.models.hooks import Steering
from steering_study.models.likelihoods import response_logprobs
from steering_study.models.loading import ChatModel, read_model
from steering_study.store.artifacts import read_table
from steering_study.store.yaml_files import read_yaml
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.dim import mean_residuals

NORMS = (0.5, 1.0, 2.0, 4.0)  # of random vectors, times the norm of the mean residual where they are added
N_TEXTS = 120
MIN_TOKENS = 6  # of a text that is garbled
BATCH_ROWS = 64


@dataclass(frozen=True)
class Text:
    """A text with how likely the unsteered model finds its tokens after its prompt."""

    prompt: str
    refused: bool
    logprobs: Float[np.ndarray, " token"]


Flags = Callable[[Text], bool]


def floor_by_behaviour(own: Sequence[Text], _: Sequence[Text]) -> Flags:
    """Below the first percentile of the mean log-likelihood of own texts of that behaviour."""
    floors = {
        refused: np.quantile(means, 0.01)
        for refused in (True, False)
        if (means := [text.logprobs.mean() for text in own if text.refused == refused])
    }
    return lambda text: text.logprobs.mean() < floors.get(text.refused, -np.inf)


def one_floor(own: Sequence[Text], _: Sequence[Text]) -> Flags:
    """One nat below the first percentile of all own texts."""
    floor = np.quantile([text.logprobs.mean() for text in own], 0.01) - 1
    return lambda text: text.logprobs.mean() < floor


def two_classes(own: Sequence[Text], shuffled: Sequence[Text]) -> Flags:
    """Nearer to shuffled texts than to own ones, by the mean log-likelihood."""
    middle = sum(np.mean([text.logprobs.mean() for text in texts]) for texts in (own, shuffled)) / 2
    return lambda text: text.logprobs.mean() < middle


def improbable(threshold: float) -> Callable[[Sequence[Text], Sequence[Text]], Flags]:
    """At least this share of improbable tokens: the study's measure."""
    return lambda _, __: lambda text: improbable_share(text.logprobs) >= threshold


def garble(kind: str, ids: Sequence[int], model: ChatModel, rng: random.Random) -> list[int]:
    """A text with its words shuffled, or with a share of its tokens replaced at random; its end-of-turn stays."""
    ends = set(model.card.end_of_turn_ids)
    body, end = [i for i in ids if i not in ends], [i for i in ids if i in ends]
    if kind == "words shuffled":
        words = str(model.tokenizer.decode(body)).split(" ")
        rng.shuffle(words)
        return [*model.tokenizer.encode(" ".join(words), add_special_tokens=False), *end]
    share = float(kind.split()[0]) / 100
    replaced = set(rng.sample(range(len(body)), max(1, round(share * len(body)))))
    return [*(rng.randrange(len(model.tokenizer)) if i in replaced else t for i, t in enumerate(body)), *end]


def garbled_texts(model: ChatModel, base: pd.DataFrame) -> dict[str, list[tuple[str, list[int]]]]:
    """Prompts with token ids, by kind: own texts, and what was made of them."""
    rng = random.Random(0)
    asked = list(zip(base["prompt"], map(list, base["token_ids"]), strict=True))
    long = [(prompt, ids) for prompt, ids in asked if len(ids) >= MIN_TOKENS]
    kinds = ("words shuffled", "10 % of the tokens replaced", "30 % of the tokens replaced")
    made = {kind: [(prompt, garble(kind, ids, model, rng)) for prompt, ids in long] for kind in kinds}
    return {"its own": asked, **made}


def noisy_texts(model: ChatModel, base: pd.DataFrame) -> dict[str, list[tuple[str, list[int]]]]:
    """Prompts with token ids, by kind: texts under a random vector half-way through the model."""
    layer = model.card.n_layers // 2
    prompts = model.render(list(base["prompt"]))
    norm = mean_residuals(model, prompts, n_positions=1, batch_size=BATCH_ROWS)[layer, 0].norm()
    noise = torch.randn(model.card.d_model, generator=torch.Generator().manual_seed(0))
    n_new = int(base["token_ids"].map(len).max())
    made = {}
    for factor in NORMS:
        steering = Steering.uniform(
            (noise / noise.norm() * norm).float(), layer=layer, coefficients=[factor] * len(prompts)
        )
        written = generate(model, prompts, max_new_tokens=n_new, batch_size=BATCH_ROWS, steering=steering)
        made[f"random vector, {factor:g} of the residual's norm"] = [
            (prompt, list(response.token_ids))
            for prompt, response in zip(base["prompt"], written, strict=True)
        ]
    return made


def scored(model: ChatModel, asked: Sequence[tuple[str, list[int]]], phrases: Sequence[str]) -> list[Text]:
    prompts = model.render([prompt for prompt, _ in asked])
    logprobs = response_logprobs(model, prompts, [tuple(ids) for _, ids in asked], batch_size=BATCH_ROWS)
    return [
        Text(prompt, contains_phrase(str(model.tokenizer.decode(ids)), phrases), np.array(nats))
        for (prompt, ids), nats in zip(asked, logprobs, strict=True)
    ]


def measure(folder: Path, phrases: Sequence[str]) -> pd.DataFrame:
    """Share of texts that are flagged, in per cent: a row a kind of text, a column a measure."""
    model = read_model(folder / "model.json")
    base = read_table(folder / "none/base/responses.parquet", RESPONSES)
    test = base[base["split"] == "test"]
    per_set = max(1, N_TEXTS // test["dataset"].nunique())
    base = test.groupby("dataset", sort=False).head(per_set).reset_index(drop=True)
    kinds = {**garbled_texts(model, base), **noisy_texts(model, base)}
    texts = {kind: scored(model, asked, phrases) for kind, asked in kinds.items()}
    half = set(base["prompt"].drop_duplicates()[::2])
    own, shuffled = (
        [text for text in texts[kind] if text.prompt in half] for kind in ("its own", "words shuffled")
    )
    measures: dict[str, Callable[[Sequence[Text], Sequence[Text]], Flags]] = {
        "floor by behaviour": floor_by_behaviour,
        "one floor, 1 nat lower": one_floor,
        "two classes": two_classes,
        "improbable tokens": improbable(0.04),
    }
    flags = {name: make(own, shuffled) for name, make in measures.items()}
    rows = {
        kind: {
            name: 100 * np.mean([flag(t) for t in many if t.prompt not in half])
            for name, flag in flags.items()
        }
        for kind, many in texts.items()
    }
    return pd.DataFrame(rows).T


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    phrases = read_yaml(Path(__file__).parents[1] / "resources/refusal_phrases.yaml")["phrases"]
    for folder in parser.parse_args().folders:
        table = measure(folder, phrases)
        print(f"\n| {folder.name}: share flagged, % | {' | '.join(table.columns)} |")
        print("|---|" + "---|" * len(table.columns))
        for kind, row in table.iterrows():
            print(f"| {kind} | {' | '.join(f'{value:.0f}' for value in row)} |")


if __name__ == "__main__":
    main()
