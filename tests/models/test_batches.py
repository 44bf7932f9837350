"""Chat templates, the post-instruction span, padding."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.conftest import MIXTURE

from steering_study.models.batches import batches_by_length, left_pad
from steering_study.models.chat import post_instruction_ids, render_chat
from steering_study.pocket.corpus import Mixture, iterate_examples
from steering_study.pocket.tokenizer import FORMATS, train_tokenizer


@pytest.fixture(scope="module", params=["llama", "gemma"])
def tokenizer(request):
    return train_tokenizer(
        request.param, itertools.islice(iterate_examples(0, Mixture(**MIXTURE)), 500), d_vocab=600
    )


def test_rendered_prompt_has_one_bos(tokenizer):
    (ids,) = render_chat(tokenizer, ["Hello there"], context=100)
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1


def test_post_instruction_span_is_what_the_template_writes_after_the_text(tokenizer):
    span = post_instruction_ids(tokenizer)
    text = tokenizer.decode(list(span))
    assert text in (
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "<end_of_turn>\n<start_of_turn>model\n",
    )
    assert len(span) >= 4


def test_every_prompt_ends_with_the_span(tokenizer):
    span = post_instruction_ids(tokenizer)
    for ids in render_chat(tokenizer, ["a", "How?", "end.", "two words"], context=100):
        assert ids[-len(span) :] == span


def test_prompt_longer_than_the_context_is_refused(tokenizer):
    with pytest.raises(ValueError, match="context is 10"):
        render_chat(tokenizer, ["a very long prompt " * 20], context=10)


def test_gemma_template_has_no_system_role():
    gemma = train_tokenizer(
        "gemma", itertools.islice(iterate_examples(0, Mixture(**MIXTURE)), 50), d_vocab=300
    )
    with pytest.raises(Exception, match="System role not supported"):
        gemma.apply_chat_template([{"role": "system", "content": "x"}], tokenize=False)
    assert "system" not in FORMATS["llama"].template


def test_left_padding_keeps_tokens_and_positions():
    #             pad  row
    batch = left_pad([[5, 6, 7], [8]], pad=0, device="cpu")
    assert batch.ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert batch.mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert batch.ids.dtype == torch.long


def test_batches_hold_every_row_once_and_the_longest_first():
    rows = [[1], [1, 2, 3], [1, 2], [1, 2, 3, 4]]
    batches = list(batches_by_length(rows, batch_size=3))
    assert batches == [[3, 1, 2], [0]]


def test_equal_rows_share_a_batch():
    rows = [[1, 2], [3, 4], [1, 2], [3, 4]]
    assert list(batches_by_length(rows, batch_size=2)) == [[0, 2], [1, 3]]
