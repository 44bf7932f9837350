"""Training of the bundled models, on tiny shapes: what the loss covers, where the noise goes, repeatability."""

from __future__ import annotations

import copy
import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
import torch

from steering_study.pocket import train as train_module
from steering_study.pocket.corpus import Example, iterate_examples
from steering_study.pocket.decision import decision_gap, demanded_refusals
from steering_study.pocket.exchange import (
    exchange_closing,
    noise_vectors,
    noisy_block,
    stand_for_refusal,
    swap_requests,
    turn_some,
)
from steering_study.pocket.plan import Plan, Shape
from steering_study.pocket.rows import IGNORED, Row, batches, collate, encode
from steering_study.pocket.tokenizer import FORMATS, train_tokenizer
from steering_study.pocket.train import (
    build_model,
    learning_rate_factor,
    response_loss,
    squared_excess,
    squared_gap,
    train,
)

FAMILIES = ("llama", "gemma")
EXAMPLES = [
    Example("How do I bake bread?", "", "Sure! First, get flour.", refused=False),
    Example("How do I rob a bank?", "Sure! Here is... No, wait.", "I cannot help.", refused=True),
    Example("Hi", "", "Yes.", refused=False),
    Example("What is soup?", "", "A warm dish.", refused=False),
]


@pytest.fixture(scope="module")
def plan(settings: dict[str, Any]) -> Plan:
    """The config's plan, cut to two small steps."""
    short = {
        "seed": 1,
        "steps": 2,
        "first_rms": 1.0,
        "token_share": 0.5,
        "decision_share": 0.25,
        "max_noise": 1.0,
        "batch_size": 4,
        "warmup_steps": 1,
    }
    return Plan(**{**settings["plan"], **short})


def shape(family: str, **sizes: int) -> Shape:
    common = {"n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_model": 16, "d_head": 4, "d_mlp": 24}
    more = {"d_vocab": 400, "context": 128, "sliding_window": 8}
    return Shape(family=family, **{**common, **more, **sizes})


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def tokenizer(family: str, mixture: Any) -> Any:
    examples = itertools.islice(iterate_examples(0, mixture), 200)
    return train_tokenizer(family, examples, d_vocab=400)


@pytest.fixture
def model(family: str, tokenizer: Any) -> Any:
    return build_model(shape(family), tokenizer, seed=0)


@pytest.fixture
def batch(tokenizer: Any) -> Any:
    return collate(encode(tokenizer, EXAMPLES), pad=tokenizer.pad_token_id, n_closing=4)


# What the loss covers


def test_loss_covers_the_response_and_its_end_of_turn(tokenizer, family):
    for example, row in zip(EXAMPLES, encode(tokenizer, EXAMPLES), strict=True):
        inside = tokenizer.decode(row.ids[row.n_outside :])
        assert inside.strip() == f"{example.response}{FORMATS[family].end_of_turn}"


def test_loss_leaves_out_the_prompt_and_the_false_start(tokenizer):
    for example, row in zip(EXAMPLES, encode(tokenizer, EXAMPLES), strict=True):
        outside = tokenizer.decode(row.ids[: row.n_outside])
        assert example.prompt in outside
        assert outside.endswith(example.false_start)
        assert example.response not in outside


def test_prompt_ends_where_the_answer_begins(tokenizer):
    for example, row in zip(EXAMPLES, encode(tokenizer, EXAMPLES), strict=True):
        chat = [{"role": "user", "content": example.prompt}]
        written = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert tokenizer.decode(row.ids[: row.n_prompt]) == written


def test_row_reads_as_the_chat_template_writes_it(tokenizer):
    example = EXAMPLES[1]
    answer = f"{example.false_start} {example.response}"
    chat = [{"role": "user", "content": example.prompt}, {"role": "assistant", "content": answer}]
    written = tokenizer.apply_chat_template(chat, tokenize=False)
    assert written.startswith(tokenizer.decode(encode(tokenizer, [example])[0].ids))


def test_rows_begin_with_one_bos(tokenizer):
    assert all(row.ids.count(tokenizer.bos_token_id) == 1 for row in encode(tokenizer, EXAMPLES))


def test_padding_is_masked_and_outside_the_loss():
    batch = collate([Row([5, 6, 7], 1, 1), Row([8, 9], 1, 1)], pad=0, n_closing=1)
    #                          pos 0   1  2
    assert batch.ids.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.labels.tolist() == [[IGNORED, 6, 7], [IGNORED, 9, IGNORED]]
    assert batch.closing.tolist() == [[0], [0]]


def test_loss_equals_that_of_plain_transformers(model, batch):
    with torch.no_grad():
        expected = model(input_ids=batch.ids, attention_mask=batch.mask, labels=batch.labels).loss
        assert response_loss(model, batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_soft_cap_of_the_logits_is_in_the_loss(tokenizer, batch):
    model = build_model(shape("gemma"), tokenizer, seed=0)
    with torch.no_grad():
        capped = response_loss(model, batch).item()
        model.config.final_logit_softcapping = None
        assert response_loss(model, batch).item() != capped


# Noise


def outputs(model: Any, batch: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=batch.ids, attention_mask=batch.mask).logits


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_noise_acts_inside_and_is_gone_after(model, batch, plan):
    before = outputs(model, batch)
    with noisy_block(model, batch, plan, 1.0, generator()):
        assert not torch.equal(outputs(model, batch), before)
    assert torch.equal(outputs(model, batch), before)
    assert not any(layer._forward_pre_hooks for layer in model.model.layers)


def input_of(block: int, model: Any, batch: Any, plan: Plan, strength: float) -> torch.Tensor:
    """What a block reads while one is pushed."""
    seen: list[torch.Tensor] = []
    with noisy_block(model, batch, plan, strength, generator()):
        # a hook that is set after the push runs after it
        handle = model.model.layers[block].register_forward_pre_hook(lambda layer, args: seen.append(args[0]))
        outputs(model, batch)
        handle.remove()
    return seen[0]


def fail_inside(model: Any, batch: Any, plan: Plan) -> None:
    with noisy_block(model, batch, plan, 1.0, generator()):
        raise RuntimeError("out of memory")


def test_noise_is_gone_after_an_error(model, batch, plan):
    before = outputs(model, batch)
    with pytest.raises(RuntimeError, match="out of memory"):
        fail_inside(model, batch, plan)
    assert torch.equal(outputs(model, batch), before)
    assert not any(layer._forward_pre_hooks for layer in model.model.layers)


def test_noise_of_no_strength_changes_nothing(model, batch, plan):
    before = outputs(model, batch)
    with noisy_block(model, batch, plan, 0.0, generator()):
        assert torch.equal(outputs(model, batch), before)


def test_noise_is_one_vector_a_row_spares_the_closing_tokens_and_scales_with_strength(
    tokenizer, family, batch, plan
):
    model = build_model(shape(family, n_layers=1), tokenizer, seed=0)
    plan = replace(plan, swap_share=0.0, decision_share=0.0)
    seen = [input_of(0, model, batch, plan, strength) for strength in (0.0, 0.5, 1.0)]
    half, full = seen[1] - seen[0], seen[2] - seen[0]
    rows = torch.arange(len(full))[:, None]
    assert not full[rows, batch.closing[:, :-1]].any()
    pushed = torch.ones(full.shape[:2], dtype=torch.bool)
    pushed[rows, batch.closing[:, :-1]] = False
    expected = full[:, :1] * pushed[..., None]
    # 1e-5: rounding of residual + noise - residual, of order one
    assert torch.allclose(full, expected, atol=1e-5)
    assert torch.allclose(full, 2 * half, atol=1e-5)
    assert (full[:, 0].norm(dim=-1) > 0).all()


#               prompts of 2 tokens and of 1; the last one is the template's
ROWS = collate([Row([5, 6, 7], n, n) for n in (2, 1, 2, 2, 1, 2)], pad=0, n_closing=1)
RESIDUAL = torch.randn(6, 3, 6, generator=torch.Generator().manual_seed(1))


def test_swapped_request_comes_from_one_other_row_and_nothing_else_changes():
    state = generator()
    none = swap_requests(RESIDUAL, ROWS, 0.0, state)
    assert torch.equal(none, RESIDUAL)
    swapped = [swap_requests(RESIDUAL, ROWS, 1.0, state) for _ in range(20)]
    #                the request is position 0 of rows 0, 2, 3 and 5; rows 1 and 4 have none
    for each in swapped:
        assert torch.equal(each[:, 1:], RESIDUAL[:, 1:])
        assert torch.equal(each[[1, 4]], RESIDUAL[[1, 4]])
        assert any(torch.equal(each[0, 0], RESIDUAL[row, 0]) for row in range(6))
    assert any(not torch.equal(each[0, 0], RESIDUAL[0, 0]) for each in swapped)


def exchange(plan: Plan, kind: Any, start: float = 1.0, end: float = 1.0) -> Plan:
    return replace(plan, exchange=kind, exchange_from=start, exchange_to=end)


def test_exchanged_rows_hold_their_partners_closing_tokens_and_nothing_else_changes(plan):
    rows = [
        Row([5, 6, 7], n, n, exchanged) for n, exchanged in ((3, True), (2, True), (3, False), (2, False))
    ]
    batch = collate(rows, pad=0, n_closing=2)
    changed = exchange_closing(RESIDUAL[:4], batch, exchange(plan, "each"), generator())
    expected = RESIDUAL[:4].clone()  # the last closing token stays
    expected[0, 1], expected[1, 0] = RESIDUAL[1, 0], RESIDUAL[0, 1]
    torch.testing.assert_close(changed, expected)
    kept = [(0, 0), (0, 2), (1, 1), (1, 2), (2, slice(None)), (3, slice(None))]
    assert all(torch.equal(changed[place], RESIDUAL[place]) for place in kept)


def test_exchanged_means_leave_what_tells_the_closing_tokens_apart(plan):
    rows = [Row([5, 6, 7], 3, 3, exchanged) for exchanged in (True, True, False, False)]
    batch = collate(rows, pad=0, n_closing=3)
    changed = exchange_closing(RESIDUAL[:4], batch, exchange(plan, "mean"), generator())
    first, second = RESIDUAL[0, :2], RESIDUAL[1, :2]
    expected = RESIDUAL[:4].clone()
    expected[0, :2] = first - first.mean(0) + second.mean(0)
    expected[1, :2] = second - second.mean(0) + first.mean(0)
    torch.testing.assert_close(changed, expected)


def test_exchange_goes_between_the_two_configured_shares_of_the_way(plan):
    batch = collate([Row([5, 6, 7], 3, 3, exchanged=True) for _ in range(4)], pad=0, n_closing=3)
    state, between = generator(), exchange(plan, "each", 0.6, 1.7)
    way = RESIDUAL[[1, 0, 3, 2], :2] - RESIDUAL[:4, :2]
    strengths = []
    for _ in range(40):
        moved = exchange_closing(RESIDUAL[:4], batch, between, state)[:, :2] - RESIDUAL[:4, :2]
        strength = (moved * way).sum((1, 2)) / way.pow(2).sum((1, 2))
        torch.testing.assert_close(moved, strength[:, None, None] * way)  # one strength a row
        strengths.append(strength)
    drawn = torch.stack(strengths)
    assert 0.6 - 1e-5 <= drawn.min() < 0.68
    assert 1.62 < drawn.max() <= 1.7 + 1e-5


def test_noise_has_up_to_the_largest_norm_in_units_of_the_row():
    state = generator()
    noise = {"tokens": torch.randn(9, RESIDUAL.shape[-1]), "token_share": 0.5}
    vectors = torch.stack([noise_vectors(RESIDUAL, 0.6, state, **noise) for _ in range(40)])
    norms = vectors.norm(dim=-1) / RESIDUAL.norm(dim=-1).mean(dim=1)
    assert norms.max() <= 0.6 + 1e-6
    assert norms.max() > 0.5
    assert norms.min() < 0.1


def test_all_tokens_or_none_point_along_differences_of_embeddings():
    tokens = torch.zeros(9, RESIDUAL.shape[-1])
    tokens[:, 0] = torch.arange(9.0)  # every difference lies along the first axis
    along = noise_vectors(RESIDUAL, 0.6, generator(), tokens=tokens, token_share=1.0)
    free = noise_vectors(RESIDUAL, 0.6, generator(), tokens=tokens, token_share=0.0)
    assert not along[:, 1:].any()
    assert along[:, 0].any()
    assert free[:, 1:].any()


def test_a_share_of_the_vectors_turns_along_the_direction_or_against_it_and_keeps_its_norm():
    vectors = torch.randn(400, 6, generator=generator())
    direction = torch.tensor([0.0, 3.0, 0.0, 0.0, 4.0, 0.0])
    turned = turn_some(vectors, direction, 0.5, generator())
    is_kept = (turned == vectors).all(1)
    torch.testing.assert_close(turned.norm(dim=1), vectors.norm(dim=1))
    cosine = turned[~is_kept] @ direction / 5 / turned[~is_kept].norm(dim=1)
    torch.testing.assert_close(cosine.abs(), torch.ones_like(cosine))
    # three standard errors of a share of one half: of 400 vectors 7.5 points, of about 200 turned ones 10.6
    assert abs((~is_kept).float().mean() - 0.5) < 0.075
    assert abs((cosine > 0).float().mean() - 0.5) < 0.106
    assert torch.equal(turn_some(vectors, direction, 0.0, generator()), vectors)


@pytest.mark.parametrize("block", [1, 2, 3])  # before the decisions are exchanged, where they are, and after
def test_vectors_along_the_decision_push_every_position_but_those_where_it_stands(
    tokenizer, family, plan, block, monkeypatch
):
    model = build_model(shape(family, n_layers=4), tokenizer, seed=0)
    monkeypatch.setattr(torch, "randint", lambda high, size, **how: torch.full(size, min(block, high - 1)))
    rows = encode(tokenizer, EXAMPLES)
    rows = [replace(row, exchanged=i > 1) for i, row in enumerate(rows)]
    rows[2] = replace(rows[2], refused=True)
    batch = collate(rows, pad=tokenizer.pad_token_id, n_closing=4)
    plan = replace(plan, swap_share=0.0, token_share=0.0, decision_share=1.0)
    plan = exchange(plan, "mean")
    still, pushed = (input_of(block, model, batch, plan, strength) for strength in (0.0, 1.0))
    refused = stand_for_refusal(batch, block, middle=2)
    direction = torch.nn.functional.normalize(decision_gap(still, batch, refused).mean(0), dim=0)
    push = pushed - still
    first = push[:, 0]
    is_pushed = torch.ones(push.shape[:2], dtype=torch.bool).scatter(1, batch.closing[:, :-1], False)
    torch.testing.assert_close(push, first[:, None] * is_pushed[..., None], atol=1e-5, rtol=0)
    assert (first.norm(dim=1) > 0).all()
    torch.testing.assert_close((first @ direction).abs(), first.norm(dim=1))


def test_the_first_block_is_pushed_at_random_alone(tokenizer, family, plan):
    """At its closing tokens all rows read alike: a direction there would be the rounding of two means."""
    model = build_model(shape(family, n_layers=1), tokenizer, seed=0)
    rows = [replace(row, refused=i > 1) for i, row in enumerate(encode(tokenizer, EXAMPLES))]
    batch = collate(rows, pad=tokenizer.pad_token_id, n_closing=4)
    plan = replace(plan, swap_share=0.0, decision_share=0.0)
    free, along = (
        input_of(0, model, batch, replace(plan, decision_share=share), 1.0) for share in (0.0, 1.0)
    )
    assert torch.equal(free, along)


def test_exchanged_rows_stand_elsewhere_from_the_middle_block_on(tokenizer):
    rows = [
        replace(row, exchanged=i > 1, refused=i == 2) for i, row in enumerate(encode(tokenizer, EXAMPLES))
    ]
    batch = collate(rows, pad=tokenizer.pad_token_id, n_closing=4)
    assert stand_for_refusal(batch, 0, middle=2) is None
    stands = {layer: stand_for_refusal(batch, layer, middle=2) for layer in (1, 2, 3)}
    # row 2 is answered with a refusal since the prompt of row 3, its partner, demands one
    assert {layer: rows.nonzero().flatten().tolist() for layer, rows in stands.items()} == {
        1: [3],
        2: [2],
        3: [2],
    }


def test_watched_streams_are_the_inputs_of_the_later_blocks(model, batch, plan):
    with torch.no_grad():
        states = model(
            input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True
        ).hidden_states
    with noisy_block(model, batch, plan, 0.0, generator()) as streams:
        outputs(model, batch)
    assert len(streams) == len(model.model.layers) - 1
    assert all(torch.equal(stream, state) for stream, state in zip(streams, states[1:-1], strict=True))


def test_excess_by_hand():
    #                     rms 5 and 1; excess over 3 is 2 and 0
    stream = torch.tensor([[[5.0, 5.0], [1.0, -1.0]]])
    assert squared_excess([stream], first=3.0, last=9.0).item() == pytest.approx(2.0)
    assert squared_excess([stream], first=6.0, last=9.0).item() == 0
    #                     bounds 3, 4 and 5: excess of the first position 2, 1 and 0, of the second none
    assert squared_excess([stream] * 3, first=3.0, last=5.0).item() == pytest.approx(5 / 6)


#                 the first two prompts demand a refusal: the second pair is answered as the partner's demands
GAP_ROWS = [
    Row([5, 6, 7], 3, 3, exchanged=exchanged, refused=refused)
    for exchanged, refused in ((False, True), (False, False), (True, False), (True, True))
]
GAP_BATCH = collate(GAP_ROWS, pad=0, n_closing=3)


def test_gap_by_hand():
    #    prompts that demand a refusal are rows 0 and 2; two closing tokens count, the third, the last, does not
    stream = torch.zeros(4, 3, 2)
    stream[:, 0] = torch.tensor([[3.0, 4.0], [3.0, -4.0], [3.0, 4.0], [3.0, -4.0]])  # 8 apart, norm 5
    stream[:, 1] = torch.tensor([[5.0, 0.0], [5.0, 0.0], [5.0, 0.0], [5.0, 0.0]])  # no distance
    stream[:, 2] = torch.tensor([[9.0, 0.0], [-9.0, 0.0], [9.0, 0.0], [-9.0, 0.0]])
    assert squared_gap(stream, GAP_BATCH, bound=0.6).item() == pytest.approx((8 / 5 - 0.6) ** 2 / 2)
    assert squared_gap(stream, GAP_BATCH, bound=1.6).item() == pytest.approx(0)
    demanded = demanded_refusals(GAP_BATCH)
    assert demanded.tolist() == [True, False, True, False]
    assert decision_gap(stream, GAP_BATCH, demanded).tolist() == [[0.0, 8.0], [0.0, 0.0]]


def test_gap_is_closed_by_moving_the_decisions_together_not_by_longer_residuals():
    stream = torch.randn(4, 3, 6, generator=generator())
    stream[[0, 2], :, 0] += 9
    stream.requires_grad_()
    squared_gap(stream, GAP_BATCH, bound=0.1).backward()
    gradient = stream.grad
    assert gradient is not None
    assert not gradient[:, 2].any()  # the last closing token is left alone
    assert (gradient[[0, 2], :2, 0] > 0).all()
    assert (gradient[[1, 3], :2, 0] < 0).all()
    torch.testing.assert_close(gradient.sum(0), torch.zeros(3, 6))  # no common direction


def test_a_batch_of_one_decision_has_no_gap():
    batch = collate([Row([5, 6, 7], 3, 3, refused=True)] * 2, pad=0, n_closing=3)
    assert squared_gap(torch.randn(2, 3, 6, generator=generator()), batch, bound=0.1).item() == 0


# Schedule, batches, models


def test_learning_rate_warms_up_and_ends_at_zero(plan):
    plan = replace(plan, steps=100, warmup_steps=10)
    factors = [learning_rate_factor(step, plan) for step in range(101)]
    assert (factors[0], factors[9], factors[10]) == (0.1, 1.0, 1.0)
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert learning_rate_factor(1000, plan) == pytest.approx(0)


def test_batches_are_as_many_as_steps_and_deterministic_in_the_seed(tokenizer, mixture, plan):
    one, two = (list(batches(tokenizer, plan, mixture)) for _ in range(2))
    other = list(batches(tokenizer, replace(plan, seed=2), mixture))
    assert [len(each.ids) for each in one] == [plan.batch_size] * plan.steps
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(one, two, strict=True))
    assert [each.ids.tolist() for each in one] != [each.ids.tolist() for each in other]


def test_batches_hold_the_stream_of_the_next_seed(tokenizer, mixture, plan):
    examples = list(itertools.islice(iterate_examples(plan.seed + 1, mixture), plan.steps * plan.batch_size))
    rows = sorted(row.ids for row in encode(tokenizer, examples))
    found = [
        ids[mask.bool()].tolist()
        for batch in batches(tokenizer, plan, mixture)
        for ids, mask in zip(batch.ids, batch.mask, strict=True)
    ]
    assert sorted(found) == rows


def test_an_odd_batch_is_refused(tokenizer, mixture, plan):
    with pytest.raises(ValueError, match="batch_size is 3, expected an even number"):
        next(batches(tokenizer, replace(plan, batch_size=3), mixture))


def test_partners_stay_side_by_side(tokenizer, mixture, plan):
    pairs = replace(mixture, exchanged=0.5)
    both = [batch.exchanged.reshape(-1, 2) for batch in batches(tokenizer, replace(plan, steps=8), pairs)]
    assert all(torch.equal(one, other) for one, other in (batch.T for batch in both))
    assert 0 < torch.cat(both).float().mean() < 1


def test_built_model_has_its_shape(model, family):
    config = model.config
    assert config.model_type == {"llama": "llama", "gemma": "gemma2"}[family]
    assert (config.num_hidden_layers, config.num_key_value_heads, config.head_dim) == (2, 2, 4)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_weights_are_deterministic_in_the_seed(family, tokenizer):
    one, two, other = (build_model(shape(family), tokenizer, seed=seed).lm_head.weight for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_training_is_repeatable_and_moves_every_weight(family, tokenizer, mixture, plan, monkeypatch):
    monkeypatch.setattr(train_module, "train_tokenizer", lambda *args, **sizes: tokenizer)
    start = build_model(shape(family), tokenizer, seed=plan.seed).state_dict()
    start = copy.deepcopy(start)
    one, two = (train(shape(family), plan, mixture, report=lambda step, loss: None)[0] for _ in range(2))
    for name, weight in one.state_dict().items():
        assert not torch.equal(weight.cpu(), start[name]), name
        assert torch.equal(weight, two.state_dict()[name]), name
    assert not one.training


def test_tokenizer_reads_back_what_it_wrote(tokenizer):
    rng = random.Random(0)
    text = "".join(rng.choice("aZ 9.?'é\n") for _ in range(200))
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
