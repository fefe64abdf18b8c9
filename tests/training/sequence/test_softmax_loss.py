"""Losses over a catalogue against plain torch."""

import numpy as np
import pytest
import torch

from training.sequence.softmax_loss import NegativeSampler, full_softmax, sampled_softmax


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_full_softmax_and_its_gradients(smoothing):
    torch.manual_seed(0)
    states, items = torch.randn(150, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    target = torch.randint(20, (150,))
    expected = torch.autograd.grad(
        torch.nn.functional.cross_entropy(states @ items.T, target, label_smoothing=smoothing), (states, items)
    )
    found = full_softmax(states, items, target, smoothing)
    assert found.item() == pytest.approx(torch.nn.functional.cross_entropy(states @ items.T, target).item(), rel=1e-2)
    for one, other in zip(torch.autograd.grad(found, (states, items)), expected, strict=True):
        assert one.numpy() == pytest.approx(other.numpy(), abs=2e-2 * float(other.abs().max()))


def test_log_q_makes_the_sample_estimate_the_whole():
    """However unevenly negatives are drawn, the loss comes out as the full softmax's."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    states, items, target = torch.randn(5, 8) / 2, torch.randn(300, 8) / 2, torch.arange(5)
    items += states.mean(0) * torch.linspace(4, 0, 300)[:, None]  # popular items are liked, as they are
    counts = (1e4 / np.arange(1, 301)).astype(int)
    sampler = NegativeSampler.from_counts(counts)
    drawn = sampler.draw(60_000, rng)
    log_expected = sampler.log_chance[drawn] + np.log(len(drawn))
    found = sampled_softmax(states, torch.cat([items[target], items[drawn]]), target, drawn, log_expected)
    whole = torch.nn.functional.cross_entropy(states @ items.T, target)
    assert found.item() == pytest.approx(whole.item(), rel=0.01)
    uncorrected = sampled_softmax(
        states, torch.cat([items[target], items[drawn]]), target, drawn, torch.full((len(drawn),), float(np.log(200)))
    )
    assert abs(uncorrected.item() - whole.item()) > 0.015 * whole.item()


def test_draws_follow_the_chances():
    sampler = NegativeSampler.from_counts(np.array([16, 1, 0]))
    drawn = sampler.draw(50_000, np.random.default_rng(0))
    share = np.bincount(drawn.numpy(), minlength=3) / 50_000
    expected = 0.5 * np.array([8, 1, 0]) / 9 + 0.5 / 3
    assert share == pytest.approx(expected, abs=0.01)
    assert sampler.log_chance.exp().numpy() == pytest.approx(expected)
