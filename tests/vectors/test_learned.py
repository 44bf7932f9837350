"""Learned vectors: what the loss sees, how trials share passes, and that training does what it says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from tests.conftest import FAMILIES, REPOSITORY, make_tiny

from steering_study.models.chat import render_chat
from steering_study.models.decoding import generate
from steering_study.models.likelihoods import response_logprobs
from steering_study.vectors.learned import (
    Objective,
    Pair,
    PairLogprobs,
    Trial,
    force_pairs,
    initial_vector,
    match_score,
    score_pairs,
    train_trials,
)
from steering_study.vectors.methods import ntp, po

LAYER = 2
TRIAL = Trial(0.05, batch_size=2, epochs=2, seed=5, max_gradient_norm=None, factors=(1.0,), phi=0.02)
METHODS = {"ntp": ntp.OBJECTIVE, "po": po.OBJECTIVE}


@pytest.fixture(params=METHODS)
def objective(request):
    return METHODS[request.param]


@pytest.fixture
def pairs(tiny):
    return texts_to_pairs(tiny.model.tokenizer)


def texts_to_pairs(tokenizer):
    """Four pairs with responses of unequal lengths."""
    texts = ["Hello!", "How do I bake bread?", "Hm", "Where does the otter live?"]
    prompts = render_chat(tokenizer, texts, context=256)
    draw = torch.Generator().manual_seed(1)
    responses = [tuple(torch.randint(5, 60, (n,), generator=draw).tolist()) for n in (3, 1, 5, 2, 4, 2, 1, 6)]
    return [
        Pair(prompt, responses[2 * i], responses[2 * i + 1], sign=1.0 if i % 2 else -1.0)
        for i, prompt in enumerate(prompts)
    ]


@pytest.fixture
def forced(tiny, pairs):
    return force_pairs(tiny.model, pairs, layer=LAYER, batch_size=3)


def test_unsteered_scores_are_the_likelihoods_of_the_responses(tiny, pairs, forced):
    for side in ("desired", "undesired"):
        responses = [getattr(pair, side) for pair in pairs]
        known = response_logprobs(tiny.model, [pair.prompt for pair in pairs], responses, batch_size=4)
        found = getattr(forced, side)
        assert found.base.tolist() == pytest.approx([sum(values) for values in known], abs=1e-3)
        assert found.n_tokens.tolist() == [len(response) for response in responses]
        assert found.n_prompt.tolist() == [len(pair.prompt) for pair in pairs]


def test_padding_token_inside_a_response_counts(tiny):
    prompt = render_chat(tiny.model.tokenizer, ["Hello!"], context=256)[0]
    pad = tiny.model.pad_id
    pairs = [
        Pair(prompt, (7, pad), (9,), sign=1.0),
        Pair(prompt, (7, 8, 9, 10), (9,), sign=1.0),
    ]
    forced = force_pairs(tiny.model, pairs, layer=LAYER, batch_size=2)
    assert forced.desired.n_tokens.tolist() == [2, 4]


def test_empty_response_is_refused(tiny):
    with pytest.raises(ValueError, match="no tokens"):
        force_pairs(tiny.model, [Pair((1, 2), (), (3,), sign=1.0)], layer=LAYER, batch_size=1)


def test_trials_side_by_side_equal_trials_one_by_one(forced, objective):
    trials = [TRIAL, replace(TRIAL, learning_rate=0.01), replace(TRIAL, seed=7), replace(TRIAL, phi=1.5)]
    together, curve = train_trials(forced, forced, trials, objective=objective, batch_size=4, label="")
    for i, trial in enumerate(trials):
        alone, its_curve = train_trials(forced, forced, [trial], objective=objective, batch_size=4, label="")
        assert torch.allclose(together[i], alone[0], atol=2e-3)
        same = curve[curve["trial"] == i].reset_index(drop=True)
        assert same["validation_loss"].tolist() == pytest.approx(
            its_curve["validation_loss"].tolist(), abs=1e-2
        )


def test_training_lowers_the_loss_and_leaves_the_model_alone(tiny, forced, objective):
    before = {name: p.clone() for name, p in tiny.model.bridge.named_parameters()}
    trial = replace(TRIAL, epochs=20)
    vectors, curve = train_trials(forced, forced, [trial], objective=objective, batch_size=4, label="")
    assert curve["validation_loss"].iloc[-1] < curve["validation_loss"].iloc[0]
    assert curve["epoch"].tolist() == list(range(21))
    assert curve["norm"].iloc[-1] == pytest.approx(float(vectors[0].norm()))
    assert all(torch.equal(p, before[name]) for name, p in tiny.model.bridge.named_parameters())
    assert all(p.grad is None for p in tiny.model.bridge.parameters())


def test_sign_decides_which_way_a_pair_pushes(forced):
    vector = initial_vector(forced.desired.tail.resid_pre.shape[-1], seed=0) * 5
    plus = score_pairs(forced, forced.signs[:, None] * vector, uses_undesired=True)
    minus = score_pairs(forced, -forced.signs[:, None] * vector, uses_undesired=True)
    assert (plus.desired - minus.desired).abs().mean() > 0.1


def test_unused_response_is_not_run(forced):
    shift = torch.zeros_like(forced.desired.tail.resid_pre[:, 0])
    scores = score_pairs(forced, shift, uses_undesired=False)
    assert scores.undesired.isnan().all()
    assert torch.allclose(scores.desired, scores.base_desired, atol=1e-4)


def test_trials_of_several_batch_sizes_are_refused(forced):
    trials = [TRIAL, replace(TRIAL, batch_size=3)]
    with pytest.raises(ValueError, match="several batch sizes"):
        train_trials(forced, forced, trials, objective=ntp.OBJECTIVE, batch_size=4, label="")


def test_drawn_factors_change_the_training_and_a_fixed_one_does_not_depend_on_draws(forced):
    fixed, _ = train_trials(forced, forced, [TRIAL], objective=ntp.OBJECTIVE, batch_size=4, label="")
    drawn, _ = train_trials(
        forced, forced, [replace(TRIAL, factors=(0.5, 2.0))], objective=ntp.OBJECTIVE, batch_size=4, label=""
    )
    assert not torch.allclose(fixed, drawn, atol=1e-3)


def test_gradient_norm_is_clipped(forced):
    tight = replace(TRIAL, max_gradient_norm=1e-12)
    vectors, _ = train_trials(forced, forced, [tight], objective=ntp.OBJECTIVE, batch_size=4, label="")
    free, _ = train_trials(forced, forced, [TRIAL], objective=ntp.OBJECTIVE, batch_size=4, label="")
    start = initial_vector(vectors.shape[1], seed=TRIAL.seed)
    # Adam divides the scale of the gradient out, but for its epsilon of 1e-8
    assert (vectors[0] - start).norm() < 0.1 * (free[0] - start).norm()


def test_match_score_counts_greedy_tokens(tiny, pairs, forced):
    zero = torch.zeros(tiny.model.card.d_model)
    assert 0 <= match_score(forced, zero, batch_size=4) < 1
    made = generate(tiny.model, [pair.prompt for pair in pairs], max_new_tokens=4, batch_size=4)
    own = [replace(pair, desired=response.token_ids) for pair, response in zip(pairs, made, strict=True)]
    assert match_score(force_pairs(tiny.model, own, layer=LAYER, batch_size=4), zero, batch_size=4) == 1.0


# Against the equations, written out without anything of the package


def reference_logprob(plain, pair, response, vector):
    """log p(response | prompt, steered) of one pair, by a whole pass of the plain model, in nats."""
    ids = torch.tensor([[*pair.prompt, *response]])

    def add(block, args, kwargs):
        hidden = args[0] if args else kwargs.pop("hidden_states")
        return (hidden + pair.sign * vector, *args[1:]), kwargs

    handle = plain.model.layers[LAYER].register_forward_pre_hook(add, with_kwargs=True)
    logprobs = plain(ids, use_cache=False).logits[0].log_softmax(-1)
    handle.remove()
    first = len(pair.prompt)
    return sum(logprobs[i - 1, ids[0, i]] for i in range(first, ids.shape[1]))


def reference_loss(method, plain, pair, vector, trial):
    """docs/vectors.md: NTP = -log p(y_w); PO = -log sigmoid(beta log p(y_w) / |y_w| - log p(y_l) / |y_l|)."""
    desired = reference_logprob(plain, pair, pair.desired, vector)
    if method == "ntp":
        return -desired
    undesired = reference_logprob(plain, pair, pair.undesired, vector)
    with torch.no_grad():
        bases = [reference_logprob(plain, pair, y, 0 * vector) for y in (pair.undesired, pair.desired)]
    beta = max(float((bases[0] - bases[1]) * trial.phi), 1.0)
    counts = [len(pair.desired), len(pair.undesired)]
    if trial.length == "sequence":
        counts = [count + len(pair.prompt) for count in counts]
    margin = beta * desired / counts[0] - undesired / counts[1]
    return torch.log1p(torch.exp(-margin))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("method", "length"), [("ntp", None), ("po", "answer"), ("po", "sequence")])
def test_losses_and_gradients_equal_the_equations(family, method, length, tiny_tokenizer):
    tiny = make_tiny(family, tiny_tokenizer, dtype="float64")
    pairs = texts_to_pairs(tiny.model.tokenizer)
    trial = replace(TRIAL, phi=0.3, length=length)
    vector = initial_vector(tiny.model.card.d_model, seed=3).double().requires_grad_()
    for pair in pairs:  # one by one: a whole row of padding is NaN in the library's float64 attention
        forced = force_pairs(tiny.model, [pair], layer=LAYER, batch_size=1)
        scores = score_pairs(forced, pair.sign * vector[None], uses_undesired=method == "po")
        loss = METHODS[method].loss(scores, trial).sum()
        (gradient,) = torch.autograd.grad(loss, vector)
        expected = reference_loss(method, tiny.plain, pair, vector, trial)
        (expected_gradient,) = torch.autograd.grad(expected, vector)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
        assert torch.allclose(
            gradient, expected_gradient, rtol=1e-6, atol=1e-6 * float(expected_gradient.abs().max())
        )


def test_vector_of_a_bfloat16_model_is_float32(tiny_tokenizer, objective):
    tiny = make_tiny("gemma2", tiny_tokenizer, dtype="bfloat16")
    forced = force_pairs(tiny.model, texts_to_pairs(tiny.model.tokenizer), layer=LAYER, batch_size=3)
    assert forced.desired.tail.resid_pre.dtype == torch.bfloat16
    trial = replace(TRIAL, epochs=20)
    vectors, curve = train_trials(forced, forced, [trial], objective=objective, batch_size=4, label="")
    assert vectors.dtype == torch.float32
    assert curve["validation_loss"].iloc[-1] < curve["validation_loss"].iloc[0]


def by_hand(**changes: list[float]) -> PairLogprobs:
    values = {
        "desired": [-4.0],
        "undesired": [-6.0],
        "base_desired": [-300.0],
        "base_undesired": [-100.0],
        "n_prompt": [10.0],
        "n_desired": [4.0],
        "n_undesired": [3.0],
    }
    tensors = {name: torch.tensor(value) for name, value in {**values, **changes}.items()}
    return PairLogprobs(**{n: t.long() if n.startswith("n_") else t for n, t in tensors.items()})


def test_ntp_loss_by_hand():
    assert ntp.loss(by_hand(), TRIAL).tolist() == [4.0]


@pytest.mark.parametrize(
    ("phi", "length", "delta"),
    [
        (0.02, "answer", 4 * -1 + 2),  # beta = 0.02 * 200 = 4
        (1e-5, "answer", -1 + 2),  # beta = 1
        (0.02, "sequence", 4 * -4 / 14 + 6 / 13),
    ],
)
def test_po_loss_by_hand(phi, length, delta):
    found = po.loss(by_hand(), replace(TRIAL, phi=phi, length=length))
    assert found.item() == pytest.approx(float(torch.log1p(torch.exp(torch.tensor(-delta)))), rel=1e-5)


def test_beta_is_one_where_the_model_prefers_the_desired_response():
    assert po.beta(by_hand(base_desired=[-50.0]), TRIAL).item() == 1


def test_po_without_phi_is_refused():
    with pytest.raises(ValueError, match="phi"):
        po.beta(by_hand(), replace(TRIAL, phi=None))


def test_the_method_of_the_docs_is_an_objective_that_trains(forced):
    text = (REPOSITORY / "docs" / "vectors.md").read_text("utf-8")
    names: dict[str, object] = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.S)[0], names)
    margin = names["OBJECTIVE"]
    assert isinstance(margin, Objective)
    trial = replace(TRIAL, epochs=20)
    _, curve = train_trials(forced, forced, [trial], objective=margin, batch_size=4, label="")
    assert curve["validation_loss"].iloc[-1] < curve["validation_loss"].iloc[0]
