"""Side effects: nothing at coefficient 0, the definition at others, and where methods are compared."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from steering_study.models.batches import left_pad
from steering_study.models.chat import render_chat
from steering_study.models.hooks import Steering
from steering_study.models.passes import forced_logits
from steering_study.steering.coefficients import matched_coefficients
from steering_study.steering.side_effects import forced_costs, summarise_side_effects

TEXTS = ["Hello!", "How do I bake bread?", "Hm"]
RESPONSES = [(5, 6, 7), (8,), (9, 4, 4, 2)]


def costs(tiny, coefficients, **sizes):
    prompts = render_chat(tiny.model.tokenizer, TEXTS, context=256)
    vector = torch.randn(tiny.model.card.d_model, generator=torch.Generator().manual_seed(0))
    sizes = {"batch_size": 3, **sizes}
    found = forced_costs(
        tiny.model, prompts, RESPONSES, vector=vector, layer=1, coefficients=coefficients, **sizes
    )
    return prompts, vector, found.sort_values(["coefficient", "row"]).reset_index(drop=True)


def test_no_steering_costs_nothing(tiny):
    _, _, found = costs(tiny, [0.0])
    assert found["kl"].abs().max() < 1e-5
    assert found["nll"].tolist() == pytest.approx(found["base_nll"].tolist(), abs=1e-5)


def test_costs_are_those_of_the_definition(tiny):
    prompts, vector, found = costs(tiny, [2.0])
    for row, (prompt, response) in enumerate(zip(prompts, RESPONSES, strict=True)):
        batch = left_pad([(*prompt, *response)], pad=0, device="cpu")
        steering = Steering.uniform(vector, layer=1, coefficients=[2.0])
        base, steered = (
            forced_logits(tiny.model, batch, n_positions=len(response), steering=each)[0].log_softmax(-1)
            for each in (None, steering)
        )
        kl = torch.nn.functional.kl_div(steered, base, reduction="sum", log_target=True) / len(response)
        nll = -steered[range(len(response)), list(response)].mean()
        assert found.loc[row, "kl"] == pytest.approx(kl.item(), rel=1e-3)
        assert found.loc[row, "nll"] == pytest.approx(nll.item(), rel=1e-3)


def test_batches_do_not_matter(tiny):
    _, _, whole = costs(tiny, [0.5, -1.0])
    _, _, parts = costs(tiny, [0.5, -1.0], batch_size=1, max_logits=1)
    pd.testing.assert_frame_equal(whole, parts, atol=1e-3)


CURVE = pd.DataFrame(
    {
        "model": "mine",
        "method": "dim",
        "layer": 1,
        "condition": "bypass",
        "coefficient": [-2.0, -1.0, -0.5],
        "n": 10,
        "flip_rate": [0.9, 0.6, 0.1],
        "flip_low": 0.0,
        "flip_high": 1.0,
        "asr": 0.5,
        "degenerate_rate": 0.0,
        "selected": [True, False, False],
    }
)


@pytest.mark.parametrize(("flip_rate", "marked"), [(0.5, [1]), (0.05, [2]), (0.95, [])])
def test_matched_coefficient_is_the_least_that_gets_there(flip_rate, marked):
    found = matched_coefficients(CURVE, flip_rate=flip_rate)
    assert [i for i, each in enumerate(found) if each] == marked


def test_table_joins_the_curve_with_means_over_prompts():
    of_prompts = pd.DataFrame(
        [
            {"coefficient": c, "kl": -c * (1 + i), "nll": 0.0, "base_nll": 0.0}
            for c in CURVE["coefficient"]
            for i in range(4)
        ]
    )
    table = summarise_side_effects(CURVE, {"bypass": of_prompts}, flip_rate=0.5, confidence=0.95, seed=0)
    assert table["kl_nats"].tolist() == pytest.approx([5.0, 2.5, 1.25])
    assert (table["kl_low"] < table["kl_nats"]).all()
    assert (table["kl_nats"] < table["kl_high"]).all()
    assert set(table["perplexity"]) == set(table["base_perplexity"]) == {1.0}
    assert table["matched"].tolist() == [False, True, False]
    assert set(table["n_bystanders"]) == {4}
