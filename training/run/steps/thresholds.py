"""The recall threshold of each source that has one."""

from pathlib import Path

from domain.recommendation import Source
from training.ranking.folder import COLLABORATIVE, load_sources
from training.ranking.sources import SourceScorer
from training.ranking.thresholds import ThresholdSettings, save_thresholds, validation_thresholds
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.run.item_facts import item_facts
from training.splits.split import Scorer

_THRESHOLDS = "thresholds.json"


class ThresholdsStep:
    """The thresholds step: writes `thresholds.json`."""

    name = "thresholds"
    outputs = (_THRESHOLDS,)
    uses = ("encoder", "collaborative", "blend")

    def __init__(self, settings: ThresholdSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs the collaborative tables."""
        return "" if (data.out / COLLABORATIVE).is_dir() else "collaborative/ is not there; train it first"

    def settings(self, data: TrainingData) -> ThresholdSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Chooses each source's threshold on validation."""
        fitted = load_sources(data.out, item_facts(data))
        sources: dict[str, Scorer] = {}
        if fitted.facts.neighbour_rows is not None:
            sources[Source.COLLABORATIVE.value] = SourceScorer(fitted, Source.COLLABORATIVE.value)
        if fitted.content is not None:
            sources[Source.SEMANTIC_HISTORY.value] = SourceScorer(fitted, Source.SEMANTIC_HISTORY.value)
        chosen = validation_thresholds(sources, data.split.validation, self._settings, data.progress)
        save_thresholds(chosen, work / _THRESHOLDS)
        alphas = [f"{name} {one.alpha:.4g}" for name, one in chosen.items() if one.alpha is not None]
        return StepRecord(0, "", None, {}, [f"thresholds: {', '.join(alphas) or 'none'}"])
