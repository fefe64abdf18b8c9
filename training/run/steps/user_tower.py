"""The user tower: what somebody does next, from the order of what they did."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from core.events import EventSequence
from domain.errors import ModelNotUsable
from training.collaborative.popularity import fit_popularity
from training.encoder.item_vectors import item_vectors
from training.encoder.semantic import SemanticScorer
from training.fit import Resume
from training.run.dataset import TrainingData
from training.run.folder import StepRecord, digest, write_json
from training.run.item_facts import item_facts
from training.sequence.user_tower.ensemble import UserTower, train_user_tower
from training.sequence.user_tower.settings import UserTowerSettings
from training.sequence.user_tower.warm_start import EarlierTower, carry_over, open_tower
from training.splits.split import interaction_matrix
from training.splits.validation import validation_ndcg

USER_TOWER = "user_tower"


class UserTowerStep:
    """Writes `user_tower/`, if it beats popularity and content alone."""

    name = USER_TOWER
    outputs = (USER_TOWER,)
    uses = ("encoder",)

    def __init__(self, settings: UserTowerSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs somebody who did two things."""
        long = any(len(history) > 1 for history in data.split.train)
        return "" if long else "no training history has two events"

    def settings(self, data: TrainingData) -> UserTowerSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Trains with early stopping on validation, and compares with what needs no order."""
        split, facts = data.split, item_facts(data)
        earlier = earlier_tower(data, self._settings)
        key = digest(data.key, asdict(self._settings), data.start and data.start.digests)
        begin = None if earlier is None else lambda network, place: carry_over(network, facts.vectors, earlier, place)
        resume = Resume(data.seed, key, work / "checkpoint.pt", begin)
        tower = train_user_tower(split, facts.vectors, self._settings, resume, data.progress)
        continued = [_whole(case.history, case.targets) for case in split.validation.cases]
        figures = {
            "ndcg_at_100": validation_ndcg(tower, split.validation),
            "log_likelihood": tower.log_likelihood(continued),
            "popularity_ndcg_at_100": validation_ndcg(fit_popularity(split.train, facts.count), split.validation),
        }
        beaten = [figures["popularity_ndcg_at_100"]]
        if facts.vectors is not None:
            figures["semantic_ndcg_at_100"] = validation_ndcg(SemanticScorer.of(facts.vectors), split.validation)
            beaten.append(figures["semantic_ndcg_at_100"])
        accepted = figures["ndcg_at_100"] > max(beaten)
        if accepted:
            tower.save(work / USER_TOWER)
            write_json(work / USER_TOWER / "items.json", list(split.item_ids))
        notes = []
        if data.start is not None and earlier is not None:
            known = int(earlier.known.sum())
            notes = [f"started from {data.start.path}, which knew {known:,} of {facts.count:,} items"]
            notes += data.start.notes()
        return StepRecord(0, "", accepted, figures, notes)


def saved_tower(model: Path, content: np.ndarray | None) -> UserTower | None:
    """Returns the tower of a model folder, None where it has none."""
    folder = model / USER_TOWER
    return UserTower.load(folder, content) if (folder / "settings.json").is_file() else None


def earlier_tower(data: TrainingData, settings: UserTowerSettings) -> EarlierTower | None:
    """Returns the tower that the run starts from, None where it starts from none.

    Raises:
        ModelNotUsable: it is damaged, of another width, or made for the vectors of another encoder.
    """
    start = data.start
    if start is None or start.tower is None:
        return None
    earlier = open_tower(start.tower, start.item_ids, data.split.item_ids, settings.width)
    wanted = earlier.network.shape.content_dimension
    if not wanted:
        return earlier
    content, base = data.vectors, data.encoder
    if content is None or base is None or data.texts is None:
        raise ModelNotUsable(
            f"{start.tower} reads content vectors, and no item has a text here; give --items with texts"
        )
    if start.encoder is not None:
        content = item_vectors(data.texts, start.encoder, base.max_tokens, data.cache, data.progress)
    if content.shape[1] != wanted:
        raise ModelNotUsable(
            f"{start.tower} takes vectors of {wanted} numbers, its encoder gives {content.shape[1]}: give the "
            "--encoder that it was trained with, or leave --from out"
        )
    return replace(earlier, content=content)


def out_of_fold_tower(
    data: TrainingData, settings: UserTowerSettings
) -> Callable[[Sequence[EventSequence], np.ndarray | None], UserTower]:
    """Returns what trains a tower on some histories alone, so that others can be asked without having been seen.

    It has one member: there may be five folds, and a tower of several differs less from one than one does from another.
    """
    settings = replace(settings, members=1)

    def train(histories: Sequence[EventSequence], content: np.ndarray | None) -> UserTower:
        known = interaction_matrix(histories, data.item_count).sum(axis=0) > 0
        split = replace(data.split, train=tuple(histories), known=known)
        return train_user_tower(split, content, settings, Resume(data.seed, "", None), data.progress)

    return train


def _whole(history: EventSequence, targets: np.ndarray) -> EventSequence:
    """Returns the history with what came after it."""
    rows = np.concatenate([history.rows, targets])
    kind = np.concatenate([history.kind, np.full(len(targets), history.kind[-1] if len(history) else 0)])
    return EventSequence(rows, kind, np.concatenate([history.age_s, np.zeros(len(targets), np.float32)]))
