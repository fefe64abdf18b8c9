"""Collaborative step: item-item neighbours from EASE, item transitions, similar users, and the popularity prior."""

from dataclasses import replace
from pathlib import Path

from training.collaborative.neighbours import NeighbourScorer
from training.collaborative.popularity import fit_popularity
from training.ranking.folder import COLLABORATIVE, save_chosen, save_sources
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, choose_recall, fit_sources
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.run.item_facts import item_facts
from training.splits.validation import validation_ndcg


class CollaborativeStep:
    """Step that writes neighbours, item transitions, similar users, popularity and the item ids of their rows."""

    name = "collaborative"
    outputs = (COLLABORATIVE,)
    uses = ("encoder",)

    def __init__(self, settings: RecallSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Returns an empty reason: every run has interactions."""
        return ""

    def settings(self, data: TrainingData) -> RecallSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Chooses settings on validation, fits, and keeps the strongest neighbours."""
        warm = data.warm
        recipe = RecallRecipe(item_facts(data), self._settings, progress=data.progress)
        chosen = choose_recall(warm.train, warm.validation, recipe, data.progress)
        recipe = replace(recipe, settings=chosen)
        fitted = fit_sources(warm.train, recipe)
        prior = fit_popularity(warm.train, data.item_count, chosen.popularity)
        metrics = {
            "ndcg_at_100": validation_ndcg(NeighbourScorer(fitted.neighbours), warm.validation),
            "popularity_ndcg_at_100": validation_ndcg(prior, warm.validation),
        }
        if warm is not data.split:
            fitted = fit_sources(data.split.train, recipe)
        save_sources(fitted, data.split.item_ids, work / COLLABORATIVE)
        save_chosen(chosen, work / COLLABORATIVE)
        accepted = metrics["ndcg_at_100"] > metrics["popularity_ndcg_at_100"]
        ease = chosen.ease
        values: dict[str, float | str | bool] = {
            "solver": chosen.solver,
            "lambda": ease.regularisation,
            "content": chosen.side_weight,
            "impressions": ease.impression_weight,
            "low_rank": chosen.low_rank,
            "similar_users": chosen.similar_users.count,
            "similar_users_shrinkage": chosen.similar_users.shrinkage,
        }
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
        return StepRecord(0, "", accepted, metrics, [words], chosen=values)
