"""Tokens, concept scores and neurons by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import hypergeom
from tests.circuits.steered_batches import steered_batch

from steering_study.attention.lens import (
    Read,
    Vocabulary,
    concept_table,
    directions_to_read,
    neuron_table,
    token_table,
)
from steering_study.attention.value_vectors import steering_value_vectors
from steering_study.models.blocks import HeadWeights

WORDS = ["sorry", "bomb", "cannot"]
TEXTS = [" Sorry", "bomb", "cake", " cannot", "tea", "rain"]


class Tokenizer:
    """Six tokens."""

    def __len__(self):
        return len(TEXTS)

    def decode(self, ids):
        return TEXTS[ids[0]]


@pytest.fixture
def vocabulary():
    return Vocabulary.of(Tokenizer(), d_vocab=8, words=WORDS)


@pytest.fixture
def head():
    return HeadWeights(ln_final=torch.ones(8), W_U=torch.eye(8), eps=1e-6, cap=None)


def direction(name, values):
    return Read(name, -1, -1, torch.tensor(values))


def test_words_of_a_file_are_those_of_all_its_groups(vocabulary, tmp_path):
    half = len(WORDS) // 2
    (tmp_path / "words.yaml").write_text(f"refusal: {WORDS[:half]}\nharm: {WORDS[half:]}\n", "utf-8")
    read = Vocabulary.read(tmp_path / "words.yaml", Tokenizer(), d_vocab=8)
    assert read.in_words.tolist() == vocabulary.in_words.tolist()
    assert read.texts == vocabulary.texts


def test_words_are_whole_and_in_any_case(vocabulary):
    assert vocabulary.in_words.tolist() == [True, True, False, True, False, False, False, False]
    assert vocabulary.texts[6:] == ["", ""]  # rows beyond the tokenizer


def test_tokens_come_in_the_order_of_their_logits(vocabulary, head):
    read = direction("vector", [3.0, 1.0, -5.0, 2.0, 0.0, -1.0, 0.0, 0.0])
    table = token_table([read], head, vocabulary, n_tokens=2)
    promoted, suppressed = (table[table["sign"] == sign] for sign in (1, -1))
    assert promoted["token"].tolist() == [" Sorry", " cannot"]
    assert promoted["logit"].tolist() == [3.0, 2.0]
    assert suppressed["token"].tolist() == ["cake", "rain"]
    assert suppressed["logit"].tolist() == [5.0, 1.0]


def test_concept_score_stands_beside_chance(vocabulary, head):
    read = direction("vector", [3.0, 1.0, -5.0, 2.0, 0.0, -1.0, 0.0, 0.0])
    tokens = token_table([read], head, vocabulary, n_tokens=2)
    table = concept_table([read], tokens, vocabulary, effects={"vector": 0.5}).set_index("sign")
    assert table["concept_score"].to_dict() == {1: 1.0, -1: 0.0}
    assert table["chance"].tolist() == [3 / 8, 3 / 8]
    assert table.loc[1, "p_value"] == pytest.approx(hypergeom.sf(1, 8, 3, 2))
    assert table.loc[1, "p_value"] == pytest.approx(3 / 8 * 2 / 7)
    assert table.loc[-1, "p_value"] == pytest.approx(1)
    assert table.loc[1, ["cosine", "ie"]].tolist() == pytest.approx([1, 0.5])


def test_sum_is_that_of_every_head(tiny):
    batch = steered_batch(tiny, scale=1.0)
    vector = batch.steered.shift
    reads = directions_to_read(batch.steered.blocks, vector, layer=1)
    assert [each.source for each in reads[:3]] == ["vector", "a1.h0", "a1.h1"]
    assert len(reads) == 1 + 3 * 4 + 1
    total = sum(steering_value_vectors(block, vector).sum(0) for block in batch.steered.blocks)
    assert torch.allclose(reads[-1].vector, total, atol=1e-5)


def test_neurons_are_those_with_the_largest_effects(tiny, head):
    batch = steered_batch(tiny, scale=1.0)
    blocks, d_mlp = batch.steered.blocks, batch.steered.blocks[0].W_out.shape[0]
    scores = torch.zeros(3, d_mlp)
    scores[2, 5], scores[0, 7], scores[1, 1] = -6.0, 3.0, 1.0
    vocabulary = Vocabulary([str(i) for i in range(400)], np.zeros(400, dtype=bool))
    table = neuron_table(
        scores,
        blocks,
        batch.steered.head,
        vocabulary,
        layer=1,
        n_positions=2,
        n_neurons=2,
        n_tokens=3,
    )
    assert table[["block", "neuron", "rank"]].to_numpy().tolist() == [[3, 5, 1], [1, 7, 2]]
    assert table["ie"].tolist() == [-3.0, 1.5]
    assert table["share"].tolist() == pytest.approx([0.6, 0.3])
    writes = blocks[2].W_out[5] * (1 if blocks[2].ln2_post is None else blocks[2].ln2_post)
    logits = (writes * batch.steered.head.ln_final) @ batch.steered.head.W_U.T
    assert table["promotes"].iloc[0][0] == str(int(logits.argmax()))
    assert table["suppresses"].iloc[0][0] == str(int(logits.argmin()))
