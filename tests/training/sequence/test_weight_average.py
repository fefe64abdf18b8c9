"""The running average of weights."""

import pytest
import torch
from torch import nn

from training.sequence.weight_average import weight_average


def moved(decay, values):
    network = nn.Linear(1, 1, bias=False)
    average = weight_average(network, decay)
    for value in values:
        with torch.no_grad():
            network.weight.fill_(value)
        average.update_parameters(network)
    return average.module.weight.item()


def test_without_decay_it_follows_the_network():
    assert moved(0.0, [1.0, 5.0, 3.0]) == pytest.approx(3.0)


def test_it_forgets_the_beginning_of_a_short_training():
    """By hand: the first is taken as it is, then shares of 9 / 11 and 9 / 12 of the new value come in."""
    assert moved(0.999, [0.0, 1.0, 2.0]) == pytest.approx((9 / 11) * (3 / 12) + 2 * (9 / 12))


def test_a_long_training_is_averaged_by_the_decay():
    settled = moved(0.9, [0.0] * 200 + [1.0])
    assert settled == pytest.approx(0.1, abs=1e-6)
