"""The user tower: one or more members (`member.py`) that score together, and their training."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.events import EventSequence
from domain.errors import ModelNotUsable, NothingToLearnFrom
from domain.progress import Progress
from networks.storage import load_user_tower, read_settings, save_user_tower
from networks.user_tower_ensemble import UserTowerGroup, unit_states
from training.fit import Resume
from training.sequence.metrics import RankingMetrics, ranking_metrics
from training.sequence.packing import event_table, pack, sliding_windows
from training.sequence.user_tower.loss import packed_states, places, targeted
from training.sequence.user_tower.member import TowerTrainingSet, chunks, last_states, train_member
from training.sequence.user_tower.settings import UserTowerSettings
from training.splits.split import Split


@dataclass(frozen=True)
class UserTower:
    """A trained tower; implements `Scorer`.

    Attributes:
        network: in eval mode, its rows those of the catalogue.
        content: float32[n, d], the items' content vectors; None where they have none.
        settings: it was trained with.
        validation: metrics of all members together; None if unknown.
    """

    network: UserTowerGroup
    content: Tensor | None
    settings: UserTowerSettings
    validation: RankingMetrics | None = None

    @torch.no_grad()
    def user_vectors(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, e], unit vectors, served as user_embedding; zeros for an empty history."""
        filled = torch.tensor([[len(history) > 0] for history in histories])
        return np.asarray(unit_states(self._states(histories)) * filled)

    @torch.no_grad()
    def item_vectors(self) -> np.ndarray:
        """Returns float32[n, e], unit vectors; zeros for an item with neither a trained id nor content."""
        rows = torch.arange(self.network.shape.item_count)
        return np.asarray(self.network.eval().unit_items(self.content, rows))

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], inner products of unit vectors in [-1, 1]; -inf for items without id and content."""
        items = self.item_vectors()
        scores: np.ndarray = self.user_vectors(histories) @ items.T
        scores[:, ~items.any(1)] = -np.inf
        return scores

    @torch.no_grad()
    def log_likelihood(self, histories: Sequence[EventSequence]) -> float:
        """Returns the mean of log P(event | events before) over all events but each history's first.

        P is the softmax over the items that training knew; events of other items are left out.

        Raises:
            NothingToLearnFrom: no such event.
        """
        network, table = self.network.eval(), event_table(histories)
        known = network.known().nonzero().flatten()
        place = places(known, network.shape.item_count)
        items = network.items(None if self.content is None else self.content[known], known)
        total, count = 0.0, 0
        windows = sliding_windows(table, network.shape.length + 1, np.random.default_rng(0))
        for some in chunks(windows):
            batch = pack(table, np.stack([some[:, 0], some[:, 1] - 1], axis=1), network.shape.length)
            flat = [packed_states(member, batch, self.content) for member in network.members]
            states, target = targeted(network.joined(flat), batch)
            states, target = states[place[target] >= 0], place[target[place[target] >= 0]]
            total += float(torch.log_softmax(states @ items.T, 1).gather(1, target[:, None]).sum())
            count += len(target)
        if not count:
            raise NothingToLearnFrom("no history has two events of known items, so no sequence has a likelihood")
        return total / count

    def save(self, folder: Path) -> None:
        """Writes model.safetensors and settings.json."""
        metrics = None if self.validation is None else dataclasses.asdict(self.validation)
        save_user_tower(folder, self.network, settings=dataclasses.asdict(self.settings) | {"validation": metrics})

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
        content_shape = (shape.item_count, 0) if content is None else content.shape
        if tuple(content_shape) != (shape.item_count, shape.content_dimension):
            raise ModelNotUsable(
                f"{folder} was trained on {shape.item_count} items with vectors of {shape.content_dimension}; "
                f"got {content_shape[0]} with {content_shape[1]}; use the catalogue and the encoder of its training"
            )
        metrics = training.pop("validation", None)
        return cls(
            network,
            None if content is None else torch.from_numpy(np.ascontiguousarray(content, np.float32)),
            UserTowerSettings(**training | {"members": len(network.members)}),
            None if metrics is None else RankingMetrics(**metrics),
        )

    def _states(self, histories: Sequence[EventSequence]) -> Tensor:
        network = self.network.eval()
        return network.joined([last_states(member, self.content, histories) for member in network.members])


def train_user_tower(
    split: Split,
    content: np.ndarray | None,
    settings: UserTowerSettings,
    resume: Resume,
    progress: Progress,
) -> UserTower:
    """Trains each member until validation stops improving, and keeps its best epoch.

    Args:
        split: training histories, and the validation part for early stopping.
        content: float32[n, d], the items' content vectors; None where they have none.
        settings: of the tower.
        resume: seed, checkpoint and initial weights; see `train_member`.
        progress: hears of the curves.

    Raises:
        NothingToLearnFrom: no history of two events, a single item, or no validation case.
    """
    _check(split)
    data = TowerTrainingSet.of(split, content, settings)
    members = [train_member(data, place, resume, progress) for place in range(settings.members)]
    network = UserTowerGroup(members).eval()
    network.measure(data.content)
    tower = UserTower(network, data.content, settings)
    with torch.no_grad():
        items = network.items(data.content, torch.arange(len(split.item_ids)))
        states = tower._states([case.history for case in split.validation.cases])
    metrics = ranking_metrics(states, items, split.validation)
    if len(members) > 1:
        progress.step(
            f"user_tower: {len(members)} members, validation R@10 {metrics.recall:.4f}, NDCG@10 {metrics.ndcg:.4f}"
        )
    return dataclasses.replace(tower, validation=metrics)


def _check(split: Split) -> None:
    if len(split.item_ids) < 2 or all(len(history) < 2 for history in split.train):
        raise NothingToLearnFrom("the user tower needs two items and a user with two events; use another part")
    if not split.validation.cases:
        raise NothingToLearnFrom("the user tower needs validation cases to know when to stop; give more interactions")
