"""The user tower: what somebody does next, from the order of what they did."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from training.item_facts import item_facts
from training.material import Material
from training.popularity import fit_popularity
from training.run_folder import StepRecord, digest
from training.selection import validation_ndcg
from training.semantic import SemanticScorer
from training.sequence_fit import Resume
from training.split import History, interaction_matrix
from training.user_tower import UserTower, UserTowerSettings, train_user_tower

USER_TOWER = "user_tower"


class UserTowerStep:
    """Writes `user_tower/`, if it beats popularity and content alone."""

    name = USER_TOWER
    outputs = (USER_TOWER,)
    uses = ("encoder",)

    def __init__(self, settings: UserTowerSettings) -> None:
        self._settings = settings

    def applies(self, material: Material) -> str:
        """Needs somebody who did two things."""
        long = any(len(history) > 1 for history in material.split.train)
        return "" if long else "no training history has two events"

    def settings(self, material: Material) -> UserTowerSettings:
        """Returns the settings."""
        return self._settings

    def make(self, material: Material, work: Path) -> StepRecord:
        """Trains with early stopping on validation, and compares with what needs no order."""
        split, facts = material.split, item_facts(material)
        resume = Resume(material.seed, digest(material.key, asdict(self._settings)), work / "checkpoint.pt")
        tower = train_user_tower(split, facts.vectors, self._settings, resume, material.observer)
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
        return StepRecord(0, "", accepted, figures)


def saved_tower(model: Path, content: np.ndarray | None) -> UserTower | None:
    """Returns the tower of a model folder, None where it has none."""
    folder = model / USER_TOWER
    return UserTower.load(folder, content) if (folder / "settings.json").is_file() else None


def tower_of_others(
    material: Material, content: np.ndarray | None, settings: UserTowerSettings
) -> Callable[[Sequence[History]], UserTower]:
    """Returns what trains a tower on some histories alone, so that others can be asked without having been seen."""

    def train(histories: Sequence[History]) -> UserTower:
        known = interaction_matrix(histories, material.item_count).sum(axis=0) > 0
        split = replace(material.split, train=tuple(histories), known=known)
        return train_user_tower(split, content, settings, Resume(material.seed, "", None), material.observer)

    return train


def _whole(history: History, targets: np.ndarray) -> History:
    """Returns the history with what came after it."""
    rows = np.concatenate([history.rows, targets])
    kind = np.concatenate([history.kind, np.full(len(targets), history.kind[-1] if len(history) else 0)])
    return History(rows, kind, np.concatenate([history.age_s, np.zeros(len(targets), np.float32)]))
