"""Trains one member of a user tower (networks.user_tower) on sequences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.events import EventSequence
from domain.event import EventKind
from domain.progress import Progress
from networks.user_tower import ITEM_DEVIATION, TowerDropout, UserTowerNetwork, UserTowerShape
from training.fit import FitPlan, Metrics, Resume, TrainableModel, fit, gradient_steps
from training.sequence.metrics import ranking_metrics
from training.sequence.packing import (
    EventTable,
    event_table,
    last_slots,
    last_windows,
    pack,
    sliding_windows,
    training_batches,
)
from training.sequence.user_tower.content_init import content_projection, shared_user_vectors
from training.sequence.user_tower.loss import SoftmaxPlan, TowerLoss, packed_states
from training.sequence.user_tower.settings import UserTowerSettings
from training.sequence.weight_average import weight_average
from training.splits.split import Split

_STATES_AT_ONCE = 512


@dataclass(frozen=True)
class TowerTrainingSet:
    """Data that all members are trained on.

    Attributes:
        split: training histories, and the validation part for early stopping.
        table: of the training histories.
        content: float32[n, d], the items' content vectors; None where they have none.
        initial: float32[n, width], initial item vectors; zeros for random ones.
        settings: of the tower.
    """

    split: Split
    table: EventTable
    content: Tensor | None
    initial: np.ndarray
    settings: UserTowerSettings

    @classmethod
    def of(cls, split: Split, content: np.ndarray | None, settings: UserTowerSettings) -> "TowerTrainingSet":
        """Computes the data, once for all members."""
        initial = shared_user_vectors(split.train, len(split.item_ids), settings.width)
        vectors = None if content is None else torch.from_numpy(np.ascontiguousarray(content, np.float32))
        return cls(split, event_table(split.train), vectors, initial * ITEM_DEVIATION * settings.width**0.5, settings)

    @property
    def counts(self) -> np.ndarray:
        """int64[n], how often each item occurs in training."""
        return np.bincount(self.table.rows, minlength=len(self.split.item_ids))


def train_member(data: TowerTrainingSet, place: int, resume: Resume, progress: Progress) -> UserTowerNetwork:
    """Trains until validation stops improving, and returns the best epoch, in eval mode.

    Args:
        data: of the tower.
        place: number of the member in its tower.
        resume: seed, checkpoint and initial weights of the tower. The first member takes seed and file as they are,
            each further one has its own, derived from them; a finished member is not trained again.
        progress: hears of the curves, "user_tower/..." of the first member, "user_tower_2/..." of the next.
    """
    settings, split, resume = data.settings, data.split, _member_resume(resume, place)
    torch.manual_seed(resume.seed)
    network = _network(data)
    if resume.start is not None:
        resume.start(network, place)
    groups = [
        {"params": [p for p in network.parameters() if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in network.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
    plan = SoftmaxPlan(settings.full_softmax_items, settings.negatives, settings.smoothing)
    loss = TowerLoss(network, data.content, plan, data.counts)
    average = weight_average(network, settings.averaging)

    def losses(rng: np.random.Generator) -> Iterator[Tensor]:
        windows = sliding_windows(data.table, settings.length + 1, rng)
        for batch in training_batches(data.table, windows, slots=settings.batch, length=settings.length, rng=rng):
            yield loss(batch, rng)

    def train_epoch(rng: np.random.Generator) -> float:
        return gradient_steps(optimizer, losses(rng), lambda: average.update_parameters(network))

    @torch.no_grad()
    def validate() -> Metrics:
        items = average.module.items(data.content, torch.arange(len(split.item_ids)))
        histories = [case.history for case in split.validation.cases]
        states = last_states(average.module, data.content, histories)
        metrics: Metrics = ranking_metrics(states, items, split.validation).by_name()
        return metrics

    name = f"user_tower_{place + 1}" if place else "user_tower"
    epochs = FitPlan(name, settings.epochs, settings.patience)
    fit(TrainableModel(network, optimizer, train_epoch, validate, average), epochs, resume, progress)
    return network


@torch.no_grad()
def last_states(network: UserTowerNetwork, content: Tensor | None, histories: Sequence[EventSequence]) -> Tensor:
    """Returns float32[B, width], the state after each history's last event; zeros for an empty one.

    Args:
        network: in eval mode.
        content: float32[n, d], the catalogue's content vectors; None where it takes none.
        histories: B of them.
    """
    table = event_table(histories)
    states = torch.zeros(len(histories), network.shape.width)
    filled = np.flatnonzero(np.diff(table.ends))
    for place, some in zip(chunks(filled), chunks(last_windows(table, network.shape.length)), strict=True):
        batch = pack(table, some, network.shape.length)
        flat = packed_states(network, batch, content).flatten(0, 1)
        states[torch.from_numpy(place)] = flat[torch.from_numpy(last_slots(batch, len(some)))]
    return states


def chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yields chunks of histories that are read at once."""
    for start in range(0, len(values), _STATES_AT_ONCE):
        yield values[start : start + _STATES_AT_ONCE]


def _member_resume(resume: Resume, place: int) -> Resume:
    if not place:
        return resume
    seed = int(np.random.SeedSequence((resume.seed, place)).generate_state(1)[0])
    path = None if resume.path is None else resume.path.with_stem(f"{resume.path.stem}-{place + 1}")
    return replace(resume, seed=seed, path=path)


def _network(data: TowerTrainingSet) -> UserTowerNetwork:
    settings, start = data.settings, data.initial
    shape = UserTowerShape(
        item_count=len(data.split.item_ids),
        content_dimension=0 if data.content is None else data.content.shape[1],
        width=settings.width,
        heads=settings.heads,
        length=settings.length,
        kind_count=len(EventKind),
        inner_width=settings.inner * settings.width,
    )
    dropout = TowerDropout(settings.dropout, settings.event_dropout, settings.candidate_dropout, settings.id_dropout)
    network = UserTowerNetwork(shape, dropout)
    known = data.counts > 0
    with torch.no_grad():
        if start.any():
            network.ids.weight.copy_(torch.from_numpy(start))
        if data.content is not None:
            content = data.content.numpy()
            mean = content.mean(0)
            network.content_mean.copy_(torch.from_numpy(mean))
            if start.any():
                projection = content_projection(content[known] - mean, start[known])
                network.content.weight.copy_(torch.from_numpy(projection))
                network.ids.weight.copy_(torch.from_numpy(start - (content - mean) @ projection.T))
        # An item that training doesn't know has no id embedding, only content.
        network.ids.weight[torch.from_numpy(~known)] = 0
    return network
