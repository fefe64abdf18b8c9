"""Sequence baselines: one scorer and one training for every network that turns a history into a state."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from core.events import EventSequence
from domain.progress import Progress
from training.fit import FitPlan, Metrics, Resume, TrainableModel, fit, gradient_steps
from training.sequence.metrics import RankingMetrics, ranking_metrics
from training.splits.split import Split


class SequenceNetwork(Protocol):
    """A network that scores items by the inner product with a history's state; a torch module."""

    def item_table(self) -> Tensor:
        """Returns float32[n, d], the items' vectors."""

    def last_states(self, histories: Sequence[EventSequence]) -> Tensor:
        """Returns float32[B, d], the state after each history's last event; dropout is off."""


@dataclass(frozen=True)
class SequenceScorer:
    """A trained sequence baseline; implements `Scorer`.

    Attributes:
        network: in eval mode.
        known: bool[n], items of training.
        validation: metrics of the epoch that was kept; None before training.
    """

    network: SequenceNetwork
    known: np.ndarray
    validation: RankingMetrics | None = None

    @torch.no_grad()
    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; -inf for items that training never saw."""
        scores: np.ndarray = (self.network.last_states(histories) @ self.network.item_table().T).numpy()
        scores[:, ~self.known] = -np.inf
        return scores


@dataclass(frozen=True)
class SequenceTraining:
    """Optimizer, loss and length of a sequence baseline's training.

    Attributes:
        optimizer: of the network's parameters.
        losses: yields the loss of each batch of an epoch with this randomness.
        plan: number of epochs and patience.
    """

    optimizer: torch.optim.Optimizer
    losses: Callable[[np.random.Generator], Iterable[Tensor]]
    plan: FitPlan


def train_scorer(
    network: nn.Module, training: SequenceTraining, split: Split, resume: Resume, progress: Progress
) -> SequenceScorer:
    """Trains until validation stops improving, and keeps the best epoch.

    Args:
        network: a `SequenceNetwork`; trained in place.
        training: its optimizer, loss and length.
        split: whose validation part chooses the epoch.
        resume: seed and checkpoint.
        progress: hears of the curves.
    """
    histories = [case.history for case in split.validation.cases]

    @torch.no_grad()
    def validate() -> Metrics:
        states, items = network.last_states(histories), network.item_table()
        metrics: Metrics = ranking_metrics(states, items, split.validation).by_name()
        return metrics

    def train_epoch(rng: np.random.Generator) -> float:
        return gradient_steps(training.optimizer, training.losses(rng))

    trainable = TrainableModel(network, training.optimizer, train_epoch, validate)
    best = fit(trainable, training.plan, resume, progress)
    return SequenceScorer(network, split.known, RankingMetrics.of(best))
