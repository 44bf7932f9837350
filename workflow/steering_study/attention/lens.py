"""What vectors, steering value vectors and neurons write in words, and how much of it is about refusal or harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from scipy.stats import hypergeom
from torch import Tensor

from steering_study.attention.value_vectors import logit_lens, steering_value_vectors, top_tokens
from steering_study.models.blocks import BlockWeights, HeadWeights
from steering_study.store.yaml_files import read_yaml

SIGNS = (1, -1)  # what is promoted, what is suppressed


@dataclass(frozen=True)
class Vocabulary:
    """The text of every token, and which are one of the concept words."""

    texts: Sequence[str]
    in_words: Bool[np.ndarray, "d_vocab"]

    @classmethod
    def of(cls, tokenizer: Any, *, d_vocab: int, words: Sequence[str]) -> Vocabulary:
        """Tokens of a tokenizer; rows of the unembedding beyond it have no text."""
        texts = [tokenizer.decode([i]) if i < len(tokenizer) else "" for i in range(d_vocab)]
        known = {word.lower() for word in words}
        return cls(texts, np.array([text.strip().lower() in known for text in texts]))

    @classmethod
    def read(cls, words: Path, tokenizer: Any, *, d_vocab: int) -> Vocabulary:
        """A vocabulary with the concept words of a YAML file: lists of words, by the concept that they belong to."""
        groups = read_yaml(words)
        return cls.of(tokenizer, d_vocab=d_vocab, words=list(chain.from_iterable(groups.values())))


@dataclass(frozen=True)
class Read:
    """A direction of the residual stream and what it is called."""

    source: str  # vector, a5.h1, sum
    block: int
    head: int
    vector: Float[Tensor, "d_model"]


def directions_to_read(
    blocks: Sequence[BlockWeights], vector: Float[Tensor, "d_model"], *, layer: int
) -> list[Read]:
    """The vector, its steering value vector through each head, and their sum."""
    found, total = [], torch.zeros_like(vector)
    for i, block in enumerate(blocks):
        through = steering_value_vectors(block, vector).to(vector)
        total = total + through.sum(0)
        found += [Read(f"a{layer + i}.h{head}", layer + i, head, svv) for head, svv in enumerate(through)]
    return [Read("vector", -1, -1, vector), *found, Read("sum", -1, -1, total)]


def token_table(
    reads: Sequence[Read], head: HeadWeights, vocabulary: Vocabulary, *, n_tokens: int
) -> pd.DataFrame:
    """The `svv_tokens` table without method: the tokens that each direction promotes and suppresses most."""
    logits = logit_lens(torch.stack([each.vector for each in reads]), head)
    parts = []
    for sign in SIGNS:
        values, ids = top_tokens(logits, n=n_tokens, sign=sign)
        for each, own_values, own_ids in zip(reads, values.tolist(), ids.tolist(), strict=True):
            parts.append(
                pd.DataFrame(
                    {
                        "source": each.source,
                        "rank": range(1, n_tokens + 1),
                        "token": [vocabulary.texts[i] for i in own_ids],
                        "logit": own_values,
                        "sign": sign,
                        "token_id": own_ids,
                        "in_words": vocabulary.in_words[own_ids],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def concept_table(
    reads: Sequence[Read], tokens: pd.DataFrame, vocabulary: Vocabulary, *, effects: Mapping[str, float]
) -> pd.DataFrame:
    """The `svv_concepts` table without method: share of a direction's top tokens that are concept words.

    The chance level is that of drawing the tokens from the vocabulary without replacement.

    Args:
        effects: indirect effect of each head, by its name.
    """
    d_vocab, n_known = len(vocabulary.texts), int(vocabulary.in_words.sum())
    vector = reads[0].vector
    counts = tokens.groupby(["source", "sign"])["in_words"].agg(["sum", "size"])
    rows = []
    for read in reads:
        for sign in SIGNS:
            n_words, n_tokens = (int(value) for value in counts.loc[(read.source, sign)])
            rows.append(
                {
                    "source": read.source,
                    "block": read.block,
                    "head": read.head,
                    "sign": sign,
                    "ie": effects.get(read.source, float("nan")),
                    "n_tokens": n_tokens,
                    "n_words": n_words,
                    "concept_score": n_words / n_tokens,
                    "chance": n_known / d_vocab,
                    "p_value": float(hypergeom.sf(n_words - 1, d_vocab, n_known, n_tokens)),
                    "cosine": float(torch.cosine_similarity(read.vector, vector, dim=0)),
                    "norm": float(read.vector.norm()),
                }
            )
    return pd.DataFrame(rows)


def neuron_table(
    scores: Float[Tensor, "block d_mlp"],
    blocks: Sequence[BlockWeights],
    head: HeadWeights,
    vocabulary: Vocabulary,
    *,
    layer: int,
    n_positions: int,
    n_neurons: int,
    n_tokens: int,
) -> pd.DataFrame:
    """The `neurons` table without method: neurons with the largest |indirect effect|, and what they write.

    Args:
        scores: sums over `n_positions` response positions.
    """
    n_neurons = min(n_neurons, scores.numel())
    places = [
        divmod(place, scores.shape[1]) for place in scores.abs().flatten().topk(n_neurons).indices.tolist()
    ]
    total = float(scores.abs().sum())
    logits = logit_lens(torch.stack([_written_by(blocks[i], neuron) for i, neuron in places]), head)
    tokens = (top_tokens(logits, n=n_tokens, sign=sign)[1].tolist() for sign in SIGNS)
    rows = []
    for rank, ((i, neuron), promoted, suppressed) in enumerate(zip(places, *tokens, strict=True), start=1):
        score = float(scores[i, neuron])
        rows.append(
            {
                "block": layer + i,
                "neuron": neuron,
                "rank": rank,
                "ie": score / n_positions,
                "share": abs(score) / total,
                "promotes": [vocabulary.texts[j] for j in promoted],
                "suppresses": [vocabulary.texts[j] for j in suppressed],
                "n_positions": n_positions,
            }
        )
    return pd.DataFrame(rows)


def _written_by(block: BlockWeights, neuron: int) -> Float[Tensor, "d_model"]:
    """What a neuron writes into the residual stream, times the post-norm's weight where there is one."""
    writes = block.W_out[neuron].float()
    return writes if block.ln2_post is None else writes * block.ln2_post.float()
