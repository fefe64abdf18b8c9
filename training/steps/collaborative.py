"""Item-item neighbours from EASE, and the popularity prior: what people who chose this also chose."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from training.ease import EaseSettings, choose_ease, fit_ease
from training.material import Material
from training.popularity import PopularitySettings, fit_popularity
from training.run_folder import StepRecord
from training.selection import validation_ndcg


@dataclass(frozen=True)
class CollaborativeSettings:
    """How neighbours are found.

    Attributes:
        neighbours: kept by item for serving.
        ease: the closed-form model.
        popularity: the prior.
    """

    neighbours: int = 100
    ease: EaseSettings = field(default_factory=EaseSettings)
    popularity: PopularitySettings = field(default_factory=PopularitySettings)


class CollaborativeStep:
    """Writes `collaborative/`: neighbours.npz, popularity.npy and the item ids that their rows stand for."""

    name = "collaborative"
    outputs = ("collaborative",)
    uses = ()

    def __init__(self, settings: CollaborativeSettings) -> None:
        self._settings = settings

    def applies(self, material: Material) -> str:
        """Every run has interactions."""
        return ""

    def settings(self, material: Material) -> CollaborativeSettings:
        """Returns the settings."""
        return self._settings

    def make(self, material: Material, work: Path) -> StepRecord:
        """Chooses lambda on validation, fits, and keeps the strongest neighbours."""
        warm, count = material.warm, material.item_count
        chosen = choose_ease(warm.train, count, warm.validation, self._settings.ease, material.observer)
        table = fit_ease(warm.train, count, chosen).table(self._settings.neighbours)
        figures = {
            "ndcg_at_100": validation_ndcg(table, warm.validation),
            "popularity_ndcg_at_100": validation_ndcg(
                fit_popularity(warm.train, count, self._settings.popularity), warm.validation
            ),
        }
        if warm is not material.split:
            table = fit_ease(material.split.train, count, chosen).table(self._settings.neighbours)
        folder = work / "collaborative"
        table.save(folder)
        fit_popularity(material.split.train, count, self._settings.popularity).save(folder)
        (folder / "items.json").write_text(json.dumps(material.split.item_ids, ensure_ascii=False), encoding="utf-8")
        accepted = figures["ndcg_at_100"] > figures["popularity_ndcg_at_100"]
        return StepRecord(0, "", accepted, figures, [f"EASE lambda {chosen.regularisation:g}"])
