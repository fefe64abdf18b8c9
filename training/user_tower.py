"""Trains the user tower (models.user_tower) on sequences, and recommends with it."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from domain.errors import ModelNotUsable, NothingToLearnFrom
from domain.event import EventKind
from models.folder import load_user_tower, read_settings, save_user_tower
from models.user_tower import ITEM_DEVIATION, TowerDropout, UserTowerNetwork, UserTowerShape, unit_states
from training.observer import Observer
from training.sequence_batches import (
    EventTable,
    event_table,
    last_slots,
    last_windows,
    pack,
    sliding_windows,
    training_batches,
)
from training.sequence_fit import FitPlan, Resume, Trainee, fit
from training.sequence_validation import RankingFigures, ranking_figures
from training.split import History, Split
from training.tower_loss import SoftmaxPlan, TowerLoss, packed_states, places, targeted
from training.tower_start import content_projection, shared_user_vectors
from training.weight_average import weight_average

_STATES_AT_ONCE = 512


@dataclass(frozen=True)
class UserTowerSettings:
    """How the tower is built and trained.

    Attributes:
        width: of states.
        heads: of attention.
        length: events that a state looks back on.
        inner: the inner layer's width in widths.
        dropout: inside the block.
        event_dropout: of the numbers of an event's vector.
        candidate_dropout: of the numbers of a candidate's vector.
        id_dropout: of whole id embeddings, where items have content.
        weight_decay: decoupled, of matrices.
        smoothing: of the target, in the full softmax.
        learning_rate: Adam's.
        averaging: decay of the running average of the weights, which is what is kept; 0 keeps the last step's.
        batch: events a step.
        epochs: at most.
        patience: epochs without a better validation before it ends.
        full_softmax_items: with more known items than these the softmax is sampled.
        negatives: drawn a step for the sampled softmax.
    """

    width: int = 128
    heads: int = 2
    length: int = 50
    inner: int = 2
    dropout: float = 0.2
    event_dropout: float = 0.3
    candidate_dropout: float = 0.2
    id_dropout: float = 0.2
    weight_decay: float = 0.01
    smoothing: float = 0.0
    learning_rate: float = 1e-3
    averaging: float = 0.998
    batch: int = 1024
    epochs: int = 60
    patience: int = 4
    full_softmax_items: int = 20_000
    negatives: int = 1024


@dataclass(frozen=True)
class UserTower:
    """A trained tower; implements `Scorer`.

    Attributes:
        network: in eval mode, its rows those of the catalogue.
        content: float32[n, d], the items' content vectors; None where they have none.
        settings: it was trained with.
        validation: figures of the epoch that was kept; None if unknown.
    """

    network: UserTowerNetwork
    content: Tensor | None
    settings: UserTowerSettings
    validation: RankingFigures | None = None

    @torch.no_grad()
    def user_vectors(self, histories: Sequence[History]) -> np.ndarray:
        """Returns float32[B, e], what is served as user_embedding: unit vectors; zeros for an empty history."""
        filled = torch.tensor([[len(history) > 0] for history in histories])
        return (unit_states(self._states(histories)) * filled).numpy()

    @torch.no_grad()
    def item_vectors(self) -> np.ndarray:
        """Returns float32[n, e], unit vectors; zeros for an item with neither a trained id nor content."""
        rows = torch.arange(self.network.shape.item_count)
        return self.network.eval().unit_items(self.content, rows).numpy()

    def scores(self, histories: Sequence[History]) -> np.ndarray:
        """Returns float32[B, n], inner products of unit vectors in [-1, 1]; -inf for items that it knows nothing of."""
        items = self.item_vectors()
        found = self.user_vectors(histories) @ items.T
        found[:, ~items.any(1)] = -np.inf
        return found

    @torch.no_grad()
    def log_likelihood(self, histories: Sequence[History]) -> float:
        """Returns the mean of log P(event | events before) over all events but each history's first.

        P is the softmax over the items that training knew; events of other items are left out.

        Raises:
            NothingToLearnFrom: no such event.
        """
        network, table = self.network.eval(), event_table(histories)
        known = _known_rows(network)
        place = places(known, network.shape.item_count)
        items = network.items(None if self.content is None else self.content[known], known)
        total, count = 0.0, 0
        windows = sliding_windows(table, network.shape.length + 1, np.random.default_rng(0))
        for some in _chunks(windows):
            batch = pack(table, np.stack([some[:, 0], some[:, 1] - 1], axis=1), network.shape.length)
            states, target = targeted(packed_states(network, batch, self.content), batch)
            states, target = states[place[target] >= 0], place[target[place[target] >= 0]]
            total += float(torch.log_softmax(states @ items.T, 1).gather(1, target[:, None]).sum())
            count += len(target)
        if not count:
            raise NothingToLearnFrom("no history has two events of known items, so no sequence has a likelihood")
        return total / count

    def save(self, folder: Path) -> None:
        """Writes model.safetensors and settings.json."""
        figures = None if self.validation is None else dataclasses.asdict(self.validation)
        save_user_tower(folder, self.network, settings=dataclasses.asdict(self.settings) | {"validation": figures})

    @classmethod
    def load(cls, folder: Path, content: np.ndarray | None) -> "UserTower":
        """Reads what `save` wrote.

        Args:
            folder: of the tower.
            content: float32[n, d], the content vectors of the catalogue that it was trained on.

        Raises:
            ModelNotUsable: a file is missing or broken, or the vectors are not those of its catalogue.
        """
        network, training = load_user_tower(folder), dict(read_settings(folder)["training"])
        shape = network.shape
        given = (shape.item_count, 0) if content is None else content.shape
        if tuple(given) != (shape.item_count, shape.content_dimension):
            raise ModelNotUsable(
                f"{folder} was trained on {shape.item_count} items with vectors of {shape.content_dimension}; "
                f"{given[0]} with {given[1]} are given; use the catalogue and the encoder of its training"
            )
        figures = training.pop("validation", None)
        return cls(
            network,
            None if content is None else torch.from_numpy(np.ascontiguousarray(content, np.float32)),
            UserTowerSettings(**training),
            None if figures is None else RankingFigures(**figures),
        )

    def _states(self, histories: Sequence[History]) -> Tensor:
        network, table = self.network.eval(), event_table(histories)
        found = torch.zeros(len(histories), network.shape.width)
        filled = np.flatnonzero(np.diff(table.ends))
        for place, some in zip(_chunks(filled), _chunks(last_windows(table, network.shape.length)), strict=True):
            batch = pack(table, some, network.shape.length)
            flat = packed_states(network, batch, self.content).flatten(0, 1)
            found[torch.from_numpy(place)] = flat[torch.from_numpy(last_slots(batch, len(some)))]
        return found


def train_user_tower(
    split: Split,
    content: np.ndarray | None,
    settings: UserTowerSettings,
    resume: Resume,
    observer: Observer,
) -> UserTower:
    """Trains until validation stops improving, and keeps the best epoch.

    Args:
        split: what to learn from and to choose by.
        content: float32[n, d], the items' content vectors; None where they have none.
        settings: see there.
        resume: seed, where a killed training goes on, and the weights that a warm one starts from.
        observer: hears of the curves.

    Raises:
        NothingToLearnFrom: no history of two events, a single item, or no validation case.
    """
    table = event_table(split.train)
    _check(split, table)
    torch.manual_seed(resume.seed)
    network = _network(split, content, settings, table)
    if resume.start is not None:
        resume.start(network)
    vectors = None if content is None else torch.from_numpy(np.ascontiguousarray(content, np.float32))
    groups = [
        {"params": [p for p in network.parameters() if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in network.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
    plan = SoftmaxPlan(settings.full_softmax_items, settings.negatives, settings.smoothing)
    loss = TowerLoss(network, vectors, plan, np.bincount(table.rows, minlength=len(split.item_ids)))
    average = weight_average(network, settings.averaging)
    judged = UserTower(average.module, vectors, settings)

    def train_epoch(rng: np.random.Generator) -> float:
        losses = []
        windows = sliding_windows(table, settings.length + 1, rng)
        for batch in training_batches(table, windows, slots=settings.batch, length=settings.length, rng=rng):
            found = loss(batch, rng)
            optimizer.zero_grad()
            found.backward()
            optimizer.step()
            average.update_parameters(network)
            losses.append(found.item())
        return float(np.mean(losses))

    @torch.no_grad()
    def validate() -> RankingFigures:
        items = judged.network.items(vectors, torch.arange(len(split.item_ids)))
        states = judged._states([case.history for case in split.validation.cases])
        return ranking_figures(states, items, split.validation)

    epochs = FitPlan("user_tower", settings.epochs, settings.patience)
    best = fit(Trainee(network, optimizer, train_epoch, validate, average), epochs, resume, observer)
    with torch.no_grad():
        network.radius.copy_(network.items(vectors, torch.arange(len(split.item_ids))).norm(dim=1).max())
    return UserTower(network, vectors, settings, best)


def _network(
    split: Split, content: np.ndarray | None, settings: UserTowerSettings, table: EventTable
) -> UserTowerNetwork:
    shape = UserTowerShape(
        item_count=len(split.item_ids),
        content_dimension=0 if content is None else content.shape[1],
        width=settings.width,
        heads=settings.heads,
        length=settings.length,
        kind_count=len(EventKind),
        inner_width=settings.inner * settings.width,
    )
    dropout = TowerDropout(settings.dropout, settings.event_dropout, settings.candidate_dropout, settings.id_dropout)
    network = UserTowerNetwork(shape, dropout)
    start = shared_user_vectors(split.train, shape.item_count, shape.width) * ITEM_DEVIATION * shape.width**0.5
    known = np.bincount(table.rows, minlength=shape.item_count) > 0
    with torch.no_grad():
        if start.any():
            network.ids.weight.copy_(torch.from_numpy(start))
        if content is not None:
            mean = content.mean(0)
            network.content_mean.copy_(torch.from_numpy(mean))
            if start.any():
                projection = content_projection(content[known] - mean, start[known])
                network.content.weight.copy_(torch.from_numpy(projection))
                network.ids.weight.copy_(torch.from_numpy(start - (content - mean) @ projection.T))
        # An item that training doesn't know has no id embedding, only content.
        network.ids.weight[torch.from_numpy(~known)] = 0
    return network


def _check(split: Split, table: EventTable) -> None:
    if len(split.item_ids) < 2 or not (np.diff(table.ends) > 1).any():
        raise NothingToLearnFrom("the user tower needs two items and a user with two events; use another part")
    if not split.validation.cases:
        raise NothingToLearnFrom("the user tower needs validation cases to know when to stop; give more interactions")


def _known_rows(network: UserTowerNetwork) -> Tensor:
    return network.ids.weight.any(1).nonzero().flatten()


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), _STATES_AT_ONCE):
        yield values[start : start + _STATES_AT_ONCE]
