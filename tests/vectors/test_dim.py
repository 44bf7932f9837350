"""DIM: class means, refusal metric, candidate scores."""

from __future__ import annotations

import pytest
import torch

from steering_study.models.batches import left_pad
from steering_study.models.chat import render_chat
from steering_study.models.hooks import directional_ablation
from steering_study.models.passes import last_logits
from steering_study.vectors.candidates import ablated_scores, steered_scores
from steering_study.vectors.dim import mean_residuals, refusal_metric, refusal_tokens

TEXTS = ["Hello!", "How do I bake bread?", "Tell me a story about the otter."]


@pytest.fixture
def prompts(tiny):
    return render_chat(tiny.model.tokenizer, TEXTS, context=256)


def test_mean_residuals_equal_hidden_states_of_plain_transformers(tiny, prompts):
    means = mean_residuals(tiny.model, prompts, n_positions=3, batch_size=2)
    with torch.no_grad():
        states = [
            tiny.plain(torch.tensor([list(p)]), output_hidden_states=True).hidden_states for p in prompts
        ]
    for layer in range(tiny.model.card.n_layers):
        expected = torch.stack([state[layer][0, -3:].double() for state in states]).mean(0)
        assert torch.allclose(means[layer], expected, atol=1e-4)
    assert means.dtype == torch.float64


def test_refusal_metric_by_hand():
    #                      p = 1/4, 1/4, 1/2; refusal mass of tokens 0 and 1 is 1/2, of token 2 too
    logits = torch.tensor([[0.25, 0.25, 0.5], [0.1, 0.1, 0.8]], dtype=torch.float64).log()
    assert refusal_metric(logits, [0, 1]).tolist() == pytest.approx([0.0, -1.3862943611], abs=1e-9)


def test_refusal_metric_is_finite_where_a_probability_rounds_to_one():
    metric = refusal_metric(torch.tensor([[200.0, 0.0, 0.0]]), [0])
    assert float(metric) == pytest.approx(200 - 0.6931471805, abs=1e-6)


def test_refusal_tokens_are_the_fewest_that_cover_the_share():
    firsts = [7] * 80 + [3] * 16 + [9] * 4
    assert refusal_tokens(firsts, coverage=0.95) == (7, 3)
    assert refusal_tokens(firsts, coverage=0.8) == (7,)


def test_no_refusal_no_tokens():
    with pytest.raises(ValueError, match="refusal_tokens"):
        refusal_tokens([], coverage=0.95)


def test_ablated_direction_is_absent_from_the_last_residual(tiny, prompts):
    n_layers, d_model = tiny.model.card.n_layers, tiny.model.card.d_model
    direction = torch.randn(d_model, generator=torch.Generator().manual_seed(0))
    batch = left_pad(prompts, pad=0, device="cpu")
    hooks = directional_ablation(direction.expand(len(prompts), -1), n_layers=n_layers)
    seen = {}
    keep = (f"blocks.{n_layers - 1}.hook_resid_post", lambda t, hook: seen.update(resid=t))

    def along(hooks):
        last_logits(tiny.model, batch, hooks=[*hooks, keep])
        return (seen["resid"] @ direction / direction.norm()).abs().max()

    assert along([]) > 0.1
    assert along(hooks) < 1e-4


@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_scores_of_a_candidate_equal_their_definitions(tiny, prompts, batch_size):
    means = mean_residuals(tiny.model, prompts, n_positions=2, batch_size=4)
    given = {"harmful": prompts[:2], "harmless": prompts[1:], "refusal_ids": [5, 6], "batch_size": batch_size}
    table = steered_scores(tiny.model, means, **given)
    measures = ablated_scores(tiny.model, means, **given)
    assert len(table) == 2 * tiny.model.card.n_layers
    row = table[(table.layer == 2) & (table.position == -1)].iloc[0]
    direction = means[2, 1].float()
    ablation = directional_ablation(direction[None], n_layers=tiny.model.card.n_layers)

    def steered(prompt, coefficient):
        add = ("blocks.2.hook_resid_pre", lambda t, hook: t + coefficient * direction)
        return last_logits(tiny.model, left_pad([prompt], pad=0, device="cpu"), hooks=[add])

    def divergence(prompt):
        batch = left_pad([prompt], pad=0, device="cpu")
        p, q = last_logits(tiny.model, batch), last_logits(tiny.model, batch, hooks=ablation)
        return torch.distributions.kl_divergence(
            torch.distributions.Categorical(logits=p), torch.distributions.Categorical(logits=q)
        )

    bypass = torch.cat([refusal_metric(steered(p, -1.0), [5, 6]) for p in prompts[:2]]).mean()
    induce = torch.cat([refusal_metric(steered(p, 1.0), [5, 6]) for p in prompts[1:]]).mean()
    kl = torch.cat([divergence(p) for p in prompts[1:]]).mean()
    assert row.bypass == pytest.approx(float(bypass), abs=1e-4)
    assert row.induce == pytest.approx(float(induce), abs=1e-4)
    assert measures["kl"](2, -1) == pytest.approx(float(kl), abs=1e-4)
