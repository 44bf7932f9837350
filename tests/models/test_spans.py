"""Places of tokens in a text: by the tokenizer where it splits the text again, else one by one."""

from __future__ import annotations

import pytest
from tests.conftest import REPOSITORY
from transformers import AutoTokenizer

from steering_study.models.spans import token_spans


@pytest.fixture(scope="module", params=["pocket-llama", "pocket-gemma"])
def tokenizer(request):
    return AutoTokenizer.from_pretrained(REPOSITORY / "resources/models" / request.param)


def test_tokens_cover_the_text_in_order(tokenizer):
    ids = tokenizer("I cannot help you bake bread.", add_special_tokens=False).input_ids
    text = tokenizer.decode(ids, skip_special_tokens=True)
    spans = token_spans(tokenizer, text, ids)
    assert "".join(text[start:end] for start, end in spans).replace(" ", "") == text.replace(" ", "")
    assert spans == sorted(spans)


def test_tokens_that_the_tokenizer_would_not_choose_have_places_as_well(tokenizer):
    """A model may write a word in other tokens than its tokenizer does."""
    ids = [i for letter in "bread" for i in tokenizer(letter, add_special_tokens=False).input_ids]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    spans = token_spans(tokenizer, text, ids)
    assert len(spans) == len(ids)
    assert "".join(text[start:end] for start, end in spans) == text


def test_a_special_token_shows_nothing(tokenizer):
    ids = [*tokenizer("Yes.", add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    *_, (start, end) = token_spans(tokenizer, text, ids)
    assert start == end
