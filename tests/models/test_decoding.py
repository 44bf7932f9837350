"""Greedy decoding: cached = uncached = batched = single, steered row by row; likelihoods of given texts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.conftest import in_every_family, make_tiny
from tests.models.steered_prompts import with_context
from tests.reference.decoding import decode_slowly

from steering_study.attention.ablations import parse_ablation
from steering_study.attention.freezing import Treatment, generate_frozen
from steering_study.circuits.graph import Graph
from steering_study.circuits.text import generate_patched
from steering_study.models.batches import left_pad
from steering_study.models.decoding import generate, split_prefix
from steering_study.models.passes import last_logits

N_NEW = 12


def tokens(responses):
    return [list(response.token_ids) for response in responses]


@in_every_family
def test_batched_cached_decoding_equals_plain_decoding_without_cache(tiny, prompts, steering):
    fast = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    slow = [
        decode_slowly(
            tiny.plain,
            prompt,
            vector=steering.vectors[i],
            coefficient=float(steering.coefficients[i]),
            layer=int(steering.layers[i]),
            max_new_tokens=N_NEW,
            end_ids=tiny.model.card.end_of_turn_ids,
        )
        for i, prompt in enumerate(prompts)
    ]
    assert tokens(fast) == slow


def test_result_does_not_depend_on_the_batch(tiny, prompts, steering):
    together = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    alone = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=1, steering=steering)
    assert tokens(together) == tokens(alone)
    for one, other in zip(together, alone, strict=True):
        # float32: sums in another order
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_steering_changes_every_steered_row_and_no_other(tiny, prompts, steering):
    base = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=5)
    steered = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    changed = [a.logprobs != pytest.approx(b.logprobs, abs=1e-4) for a, b in zip(base, steered, strict=True)]
    assert changed == [False, True, True, True, True]


def test_rows_that_end_early_leave_the_others_as_they_were(tiny, prompts, steering):
    def ending_at(token):
        card = replace(tiny.model.card, end_of_turn_ids=(token,))
        return replace(tiny.model, card=card)

    never = tiny.model.card.d_vocab
    full = generate(ending_at(never), prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    # End the text at a token that some rows write soon: they leave the batch while others go on.
    end = full[1].token_ids[2]
    short = generate(ending_at(end), prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)
    for whole, cut in zip(full, short, strict=True):
        n = len(cut.token_ids)
        assert whole.token_ids[:n] == cut.token_ids
        assert cut.finished == (cut.token_ids[-1] == end)
    assert any(response.finished for response in short)


LEFT = 3  # tokens that the longest prompt leaves of the context


def steered_text(model, prompts, steering):
    return generate(model, prompts, max_new_tokens=N_NEW, batch_size=5, steering=steering)


def frozen_text(model, prompts, steering):
    treatments = [Treatment(vector, "all", parse_ablation("qk")) for vector in steering.vectors]
    return generate_frozen(
        model, prompts, treatments, layer=1, max_new_tokens=N_NEW, batch_size=5, label="frozen"
    )


def patched_text(model, prompts, steering):
    circuit = torch.from_numpy(Graph.of(vars(model.card), layer=1).edge_mask)
    sizes = {"max_new_tokens": N_NEW, "batch_size": 5, "label": "patched"}
    return generate_patched(model, prompts, layer=1, shift=steering.vectors[0], circuit=circuit, **sizes)


@pytest.mark.parametrize("write", [steered_text, frozen_text, patched_text])
def test_a_text_ends_at_its_own_limit_whatever_stands_beside_it(tiny, prompts, steering, write):
    lengths = [len(prompt) for prompt in prompts]
    model = with_context(tiny.model, max(lengths) + LEFT)
    found = write(model, prompts, steering)
    assert [len(response.token_ids) for response in found] == [
        min(N_NEW, max(lengths) + LEFT - length) for length in lengths
    ]
    assert {len(response.token_ids) for response in found} >= {LEFT, N_NEW}
    roomy = write(with_context(tiny.model, 256), prompts, steering)
    for cut, whole in zip(found, roomy, strict=True):
        assert cut.token_ids == whole.token_ids[: len(cut.token_ids)]


@pytest.fixture(scope="module")
def stretching(tiny_tokenizer):
    """A model whose rotary frequencies change for a whole batch once one of its rows goes beyond 64 positions."""
    factors = {
        "short_factor": [1.0, 1.0],
        "long_factor": [40.0, 40.0],
        "original_max_position_embeddings": 64,
    }
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, **factors}
    return make_tiny("phi3", tiny_tokenizer, rope_parameters=rope, original_max_position_embeddings=64).model


def test_a_row_that_is_done_does_not_stretch_the_others(stretching, prompts):
    long = max(prompts, key=len)
    beside = (*long, *long)[:60]
    rows = [beside, min(prompts, key=len), *prompts]
    model = with_context(stretching, 64)
    together = generate(model, rows, max_new_tokens=N_NEW, batch_size=len(rows))
    alone = generate(model, rows, max_new_tokens=N_NEW, batch_size=1)
    assert len(together[0].token_ids) == 4
    assert tokens(together) == tokens(alone)
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    # The effect is there: one row beyond 64 positions changes what the model says of the others
    pair = left_pad([(*beside, *long)[:70], rows[1]], pad=0, device="cpu")
    short = left_pad([rows[1]], pad=0, device="cpu")
    assert not torch.allclose(last_logits(model, pair)[1], last_logits(model, short)[0], atol=1e-2)


def test_a_prompt_that_leaves_no_room_is_refused(tiny_llama, prompts):
    full = with_context(tiny_llama.model, max(map(len, prompts)))
    with pytest.raises(ValueError, match=r"1 prompt\(s\) leave no room .* longest has \d+ tokens"):
        generate(full, prompts, max_new_tokens=N_NEW, batch_size=5)


def test_what_prompts_begin_with_together_is_split_off_and_the_rest_padded_behind_it():
    batch = left_pad([(7, 8, 1, 2, 3), (7, 8, 4)], pad=0, device="cpu")
    first, rest, mask, positions = split_prefix(batch)
    assert first.tolist() == [[7, 8], [7, 8]]
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 1]]
    assert rest[0].tolist() == [1, 2, 3]
    assert rest[1, -1] == 4
    assert positions[mask.bool()].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
