"""Loss of the user tower, and states of packed sequences."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from networks.user_tower import UserTowerNetwork
from training.sequence.packing import PackedBatch
from training.sequence.softmax_loss import NegativeSampler, full_softmax, sampled_softmax


@dataclass(frozen=True)
class SoftmaxPlan:
    """Size of the softmax and of its sample; see UserTowerSettings."""

    full_softmax_items: int
    negatives: int
    smoothing: float


def packed_states(network: UserTowerNetwork, batch: PackedBatch, content: Tensor | None) -> Tensor:
    """Returns float32[R, L, width], the state after each slot's event."""
    rows, segment = torch.from_numpy(batch.rows), torch.from_numpy(batch.segment)
    events = network.events(None if content is None else content[rows], rows, torch.from_numpy(batch.kind))
    keys, values = network.keys_values(events)
    place, age_s = torch.arange(rows.shape[1]), torch.from_numpy(batch.age_s)
    steps = place[:, None] - place[None, :]
    allowed = (segment[:, :, None] == segment[:, None, :]) & (steps >= 0)
    bias = network.bias(steps, age_s[:, None, :] - age_s[:, :, None])
    return network.attend(events, keys, values, bias.masked_fill(~allowed[:, None], -torch.inf))


class TowerLoss:
    """Loss: mean negative log-likelihood of a batch's targets among the items that occur in training."""

    def __init__(
        self, network: UserTowerNetwork, content: Tensor | None, plan: SoftmaxPlan, counts: np.ndarray
    ) -> None:
        self.network, self.content, self.plan = network, content, plan
        self.rows = torch.from_numpy(np.flatnonzero(counts))
        self.place = places(self.rows, len(counts))
        self.sampler = NegativeSampler.from_counts(counts[counts > 0])

    def __call__(self, batch: PackedBatch, rng: np.random.Generator) -> Tensor:
        """Returns the batch's loss."""
        states, target = targeted(packed_states(self.network, batch, self.content), batch)
        if len(self.rows) <= self.plan.full_softmax_items:
            return full_softmax(states, self._items(self.rows), self.place[target], self.plan.smoothing)
        drawn = self.sampler.draw(self.plan.negatives, rng)
        items = self._items(torch.cat([target, self.rows[drawn]]))
        log_expected = self.sampler.log_chance[drawn] + float(np.log(self.plan.negatives))
        return sampled_softmax(states, items, target, self.rows[drawn], log_expected)

    def _items(self, rows: Tensor) -> Tensor:
        return self.network.candidates(None if self.content is None else self.content[rows], rows)


def targeted(states: Tensor, batch: PackedBatch) -> tuple[Tensor, Tensor]:
    """Returns the states [T, width] that have a target, and the targets int64[T]."""
    target = torch.from_numpy(batch.target).flatten()
    real = target >= 0
    return states.flatten(0, 1)[real], target[real]


def places(rows: Tensor, count: int) -> Tensor:
    """Returns int64[count], the place of each row in rows, -1 if it isn't there."""
    place = torch.full((count,), -1)
    place[rows] = torch.arange(len(rows))
    return place
