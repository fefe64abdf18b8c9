"""User tower step: trains a model of the next event from the order of events."""

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
    """Step that writes `user_tower/` if it beats popularity and content alone."""

    name = USER_TOWER
    outputs = (USER_TOWER,)
    uses = ("encoder",)

    def __init__(self, settings: UserTowerSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Returns why there is no sequence to train on; empty where there is."""
        long = any(len(history) > 1 for history in data.split.train)
        return "" if long else "no training history has two events"

    def settings(self, data: TrainingData) -> UserTowerSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Trains with early stopping on validation, and compares with models that ignore the order."""
        split, facts = data.split, item_facts(data)
        earlier = earlier_tower(data, self._settings)
        key = digest(data.key, asdict(self._settings), data.warm_start and data.warm_start.digests)
        begin = None if earlier is None else lambda network, place: carry_over(network, facts.vectors, earlier, place)
        resume = Resume(data.seed, key, work / "checkpoint.pt", begin)
        tower = train_user_tower(split, facts.vectors, self._settings, resume, data.progress)
        continued = [_whole(case.history, case.targets) for case in split.validation.cases]
        metrics = {
            "ndcg_at_100": validation_ndcg(tower, split.validation),
            "log_likelihood": tower.log_likelihood(continued),
            "popularity_ndcg_at_100": validation_ndcg(fit_popularity(split.train, facts.count), split.validation),
        }
        baselines = [metrics["popularity_ndcg_at_100"]]
        if facts.vectors is not None:
            metrics["semantic_ndcg_at_100"] = validation_ndcg(SemanticScorer.of(facts.vectors), split.validation)
            baselines.append(metrics["semantic_ndcg_at_100"])
        accepted = metrics["ndcg_at_100"] > max(baselines)
        if accepted:
            tower.save(work / USER_TOWER)
            write_json(work / USER_TOWER / "items.json", list(split.item_ids))
        notes = []
        if data.warm_start is not None and earlier is not None:
            known = int(earlier.known.sum())
            notes = [f"started from {data.warm_start.path}, which knew {known:,} of {facts.count:,} items"]
            notes += data.warm_start.notes()
        return StepRecord(0, "", accepted, metrics, notes)


def saved_tower(model: Path, content: np.ndarray | None) -> UserTower | None:
    """Returns the tower of a model folder, None where it has none."""
    folder = model / USER_TOWER
    return UserTower.load(folder, content) if (folder / "settings.json").is_file() else None


def earlier_tower(data: TrainingData, settings: UserTowerSettings) -> EarlierTower | None:
    """Returns the tower that the run starts from, None where it starts from none.

    Raises:
        ModelNotUsable: it is damaged, of another width, or made for the vectors of another encoder.
    """
    start = data.warm_start
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
    """Returns a function of histories that trains a tower on them alone, so that the others are out of fold.

    It has one member: there may be five folds, and an ensemble differs less from one member than two members differ.
    """
    settings = replace(settings, members=1)

    def train(histories: Sequence[EventSequence], content: np.ndarray | None) -> UserTower:
        known = interaction_matrix(histories, data.item_count).sum(axis=0) > 0
        split = replace(data.split, train=tuple(histories), known=known)
        return train_user_tower(split, content, settings, Resume(data.seed, "", None), data.progress)

    return train


def _whole(history: EventSequence, targets: np.ndarray) -> EventSequence:
    """Returns the history followed by the targets."""
    rows = np.concatenate([history.rows, targets])
    kind = np.concatenate([history.kind, np.full(len(targets), history.kind[-1] if len(history) else 0)])
    return EventSequence(rows, kind, np.concatenate([history.age_s, np.zeros(len(targets), np.float32)]))
