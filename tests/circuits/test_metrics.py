"""The metrics are those of docs/circuits.md, position by position."""

from __future__ import annotations

import pytest
import torch

from steering_study.circuits.metrics import metric_of
from steering_study.models.blocks import HeadWeights

IS_RESPONSE = torch.tensor([[True, True, True], [False, True, True]])


@pytest.fixture
def head():
    generator = torch.Generator().manual_seed(0)
    W_U = torch.randn(11, 5, generator=generator, dtype=torch.float64)
    return HeadWeights(torch.ones(5, dtype=torch.float64), W_U, eps=1e-6, cap=None)


@pytest.fixture
def residuals():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 2, 3, 5, generator=generator, dtype=torch.float64)


def kl(p, q):
    return float((p.exp() * (p - q)).sum())


def test_logit_difference_is_that_of_the_greedy_tokens(head, residuals):
    base, steer = (head.logits(each) for each in residuals)
    metric = metric_of("logit_difference", base, steer, is_response=IS_RESPONSE)
    middle = residuals.mean(0)
    logits, values = head.logits(middle), metric(head, middle)
    assert metric.mask.any()
    for row in range(2):
        for pos in range(3):
            y, y_base = int(steer[row, pos].argmax()), int(base[row, pos].argmax())
            counts = bool(IS_RESPONSE[row, pos]) and y != y_base
            assert bool(metric.mask[row, pos]) == counts
            expected = float(logits[row, pos, y] - logits[row, pos, y_base]) if counts else 0.0
            assert float(values[row, pos]) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "threshold"), [("kl_0", 0), ("kl_1", 1), ("kl_5", 5)])
def test_directional_kl_is_the_difference_of_two_divergences(head, residuals, name, threshold):
    base, steer = (head.logits(each) for each in residuals)
    metric = metric_of(name, base, steer, is_response=IS_RESPONSE)
    middle = 0.3 * residuals[0] + 0.7 * residuals[1]
    values = metric(head, middle)
    p, before, after = (each.log_softmax(-1) for each in (head.logits(middle), base, steer))
    for row in range(2):
        for pos in range(3):
            counts = bool(IS_RESPONSE[row, pos]) and kl(after[row, pos], before[row, pos]) >= threshold
            assert bool(metric.mask[row, pos]) == counts
            expected = kl(before[row, pos], p[row, pos]) - kl(after[row, pos], p[row, pos]) if counts else 0.0
            assert float(values[row, pos]) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["logit_difference", "kl_0"])
def test_metrics_grow_from_base_to_steer(head, residuals, name):
    base, steer = (head.logits(each) for each in residuals)
    metric = metric_of(name, base, steer, is_response=IS_RESPONSE)
    at_base, at_steer = metric(head, residuals)
    assert (at_steer >= at_base).all()
    assert (at_steer[metric.mask] > at_base[metric.mask]).all()


def test_axes_before_the_batch_are_independent(head, residuals):
    base, steer = (head.logits(each) for each in residuals)
    for name in ("logit_difference", "kl_1"):
        metric = metric_of(name, base, steer, is_response=IS_RESPONSE)
        together = metric(head, residuals)
        assert torch.equal(together[0], metric(head, residuals[0]))


def test_soft_cap_bounds_the_logits(head, residuals):
    capped = HeadWeights(head.ln_final, 100 * head.W_U, eps=1e-6, cap=3.0)
    assert capped.logits(residuals).abs().max() <= 3
    ids = torch.zeros(2, 3, 2, dtype=torch.long)
    assert torch.allclose(
        capped.logits_of(residuals, ids), capped.logits(residuals)[..., :1].expand(2, 2, 3, 2)
    )


def test_unknown_metric_is_refused(head, residuals):
    logits = head.logits(residuals[0])
    with pytest.raises(ValueError, match="logit_difference"):
        metric_of("kl_2", logits, logits, is_response=IS_RESPONSE)
