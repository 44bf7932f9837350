"""Frozen text is, token for token, that of running both prefixes again at every step; nothing is frozen that did not move."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import in_every_family
from tests.reference.freezing import freeze_slowly, patterns

from steering_study.attention.ablations import SCOPES, parse_ablation
from steering_study.attention.freezing import Treatment, generate_frozen
from steering_study.models.decoding import generate
from steering_study.models.hooks import Steering

N_NEW = 12  # beyond Gemma's window of 8
LENGTHS = (12, 5, 20)
LAYER = 1
ABLATIONS = {  # name: held, cleared, heads by block, MLPs
    "none": ("", [], {}, []),
    "q": ("q", [], "all", []),
    "k": ("k", [], "all", []),
    "qk": ("qk", [], "all", []),
    "ov": ("v", [], "all", []),
    "svv": ("", ["svv"], "all", []),
    "mlp": ("", ["mlp"], {}, [1, 2, 3]),
    "mlp_pre_norm": ("", ["mlp_pre_norm"], {}, [1, 2, 3]),
    "qk+mlp": ("qk", ["mlp"], "all", [1, 2, 3]),
    "qk+ov": ("qkv", [], "all", []),
    "qk+svv": ("qk", ["svv"], "all", []),
    "ov@a2": ("v", [], {2: [0, 1, 2, 3]}, []),
    "ov@a1.h3,a2.h0": ("v", [], {1: [3], 2: [0]}, []),
    "qk@a3.h1": ("qk", [], {3: [1]}, []),
    "svv@a1.h0,a1.h2": ("", ["svv"], {1: [0, 2]}, []),
    "mlp@m2": ("", ["mlp"], {}, [2]),
    "ov+mlp@a2.h1,m1": ("v", ["mlp"], {2: [1]}, [1]),
}


@pytest.fixture
def prompts(tiny):
    generator = torch.Generator().manual_seed(0)
    return [
        tuple(torch.randint(0, tiny.model.card.d_vocab, (n,), generator=generator).tolist()) for n in LENGTHS
    ]


@pytest.fixture
def shift(tiny):
    return 1.5 * torch.randn(tiny.model.card.d_model, generator=torch.Generator().manual_seed(1))


def frozen(tiny, prompts, treatments, *, batch_size=4, layer=LAYER):
    found = generate_frozen(
        tiny.model,
        prompts,
        treatments,
        layer=layer,
        max_new_tokens=N_NEW,
        batch_size=batch_size,
        label="test",
    )
    return [response.token_ids for response in found]


@in_every_family
@pytest.mark.parametrize("scope", SCOPES)
def test_text_is_that_of_running_both_prefixes_again(tiny, prompts, shift, scope):
    """Every ablation and prompt, all of them in mixed batches."""
    asked = [(name, prompt) for name in ABLATIONS for prompt in prompts]
    treatments = [Treatment(shift, scope, parse_ablation(name)) for name, _ in asked]
    found = frozen(tiny, [prompt for _, prompt in asked], treatments, batch_size=7)
    every_head = {block: range(4) for block in range(LAYER, 4)}
    for (name, prompt), tokens in zip(asked, found, strict=True):
        held, clears, heads, mlps = ABLATIONS[name]
        expected = freeze_slowly(
            tiny.plain,
            prompt,
            shift=shift,
            scope=scope,
            layer=LAYER,
            held=held,
            clears=clears,
            heads=every_head if heads == "all" else heads,
            mlps=mlps,
            max_new_tokens=N_NEW,
            end_ids=tiny.model.card.end_of_turn_ids,
        )
        assert list(tokens) == expected, (name, prompt)


def test_each_ablation_changes_some_text(tiny, prompts, shift):
    """The test above has teeth: most conditions write something else than steering alone."""
    texts = {
        name: tuple(frozen(tiny, prompts, [Treatment(shift, "all", parse_ablation(name))] * len(prompts)))
        for name in ABLATIONS
    }
    assert len(set(texts.values())) >= len(ABLATIONS) - 3


def test_attention_weights_move_under_steering(tiny, prompts, shift):
    """Before a freeze is judged: what it holds would have moved."""
    before = patterns(tiny.plain, prompts[0], shift=None, layer=LAYER)
    after = patterns(tiny.plain, prompts[0], shift=shift, layer=LAYER)
    moved = (after - before).abs().sum(-1).amax((1, 2)) / 2  # total variation, the largest of a block
    assert torch.all(moved[:LAYER] == 0)
    assert torch.all(moved[LAYER:] > 0.05)


def test_no_ablation_is_steering(tiny, prompts, shift):
    expected = generate(
        tiny.model,
        prompts,
        max_new_tokens=N_NEW,
        batch_size=2,
        steering=Steering.uniform(shift, layer=LAYER, coefficients=[1.0] * 3),
    )
    found = frozen(tiny, prompts, [Treatment(shift, "all", parse_ablation("none"))] * 3)
    assert found == [response.token_ids for response in expected]


@in_every_family
@pytest.mark.parametrize("name", ["none", "qk", "ov", "svv", "mlp"])
def test_freezing_a_base_run_changes_nothing(tiny, prompts, name):
    """Without a shift every condition is the unsteered model."""
    expected = generate(tiny.model, prompts, max_new_tokens=N_NEW, batch_size=3)
    zero = torch.zeros(tiny.model.card.d_model)
    found = frozen(tiny, prompts, [Treatment(zero, "all", parse_ablation(name))] * 3)
    assert found == [response.token_ids for response in expected]


def test_no_text_depends_on_the_batch(tiny, prompts, shift):
    treatments = [Treatment(shift, "all", parse_ablation(name)) for name in ("qk", "ov@a2", "svv")]
    assert frozen(tiny, prompts, treatments, batch_size=3) == frozen(tiny, prompts, treatments, batch_size=1)


def test_layer_zero_and_the_last_one_work(tiny, prompts, shift):
    for layer in (0, 3):
        treatments = [Treatment(shift, "all", parse_ablation("qk+ov"))] * 3
        assert len(frozen(tiny, prompts, treatments, layer=layer)) == 3


def test_what_the_model_lacks_is_refused(tiny_llama, shift):
    def ask(name="none", *, vector=shift, scope="all", layer=LAYER):
        frozen(tiny_llama, [(1, 2)], [Treatment(vector, scope, parse_ablation(name))], layer=layer)

    with pytest.raises(ValueError, match=r"no head a2\.h4; its heads are 0\.\.3"):
        ask("ov@a2.h4")
    with pytest.raises(ValueError, match=r"a0 is no block from the steering layer on; expected 1\.\.3"):
        ask("ov@a0")
    with pytest.raises(ValueError, match=r"width 7, tiny-llama's d_model is 32"):
        ask(vector=torch.ones(7))
    with pytest.raises(ValueError, match=r"layer=9 is outside 0\.\.3"):
        ask(layer=9)
    with pytest.raises(ValueError, match="scope='answer' is unknown"):
        ask(scope="answer")
