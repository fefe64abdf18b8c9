"""Steps of a run in their order, with the settings that each takes from a preset."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domain.errors import TrainingRefused
from domain.model_folder import ENCODER, USER_TOWER
from training.distillation.student_encoder import StudentEncoderSettings
from training.encoder.train import EncoderSettings
from training.ranking.recall_settings import RecallSettings
from training.ranking.text_ranker import TextRankerSettings
from training.ranking.thresholds import ThresholdSettings
from training.reviews.profiles import ReviewProfileSettings
from training.run.dataset import TrainingData
from training.run.runner import Step
from training.run.search import SearchSpace, Span, search_settings
from training.run.steps.aspects import AspectsStep
from training.run.steps.blend import BlendStep, BlendStepSettings
from training.run.steps.collaborative import CollaborativeStep
from training.run.steps.encoder import EncoderStep
from training.run.steps.ranker import RankerStep, RankingSettings
from training.run.steps.students import StudentEncoderStep, StudentSettings, StudentStep
from training.run.steps.text_ranker import TextRankerStep
from training.run.steps.thresholds import ThresholdsStep
from training.run.steps.user_tower import UserTowerStep, earlier_tower
from training.run.warm_start import check_encoder
from training.sequence.user_tower.settings import UserTowerSettings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# One table of a preset each; the step of the same name takes it.
_STEPS: Mapping[str, tuple[type["DataclassInstance"], Any]] = {
    "aspects": (ReviewProfileSettings, AspectsStep),
    "encoder": (EncoderSettings, EncoderStep),
    "collaborative": (RecallSettings, CollaborativeStep),
    "user_tower": (UserTowerSettings, UserTowerStep),
    "blend": (BlendStepSettings, BlendStep),
    "thresholds": (ThresholdSettings, ThresholdsStep),
    "ranker": (RankingSettings, RankerStep),
    "text_ranker": (TextRankerSettings, TextRankerStep),
    "student": (StudentSettings, StudentStep),
    "student_encoder": (StudentEncoderSettings, StudentEncoderStep),
}

SECTIONS: Mapping[str, type["DataclassInstance"]] = {name: settings for name, (settings, _) in _STEPS.items()}


# Settings that `--search` tries of a part, and the metric that it maximises.
_SPACES: Mapping[str, SearchSpace] = {
    "encoder": SearchSpace("cold_ndcg_at_100", {"shrinkage": Span(0.01, 1.0, log=True), "latent_width": Span(16, 128)}),
    "user_tower": SearchSpace(
        "ndcg_at_100",
        {
            "learning_rate": Span(3e-4, 3e-3, log=True),
            "dropout": Span(0.0, 0.5),
            "event_dropout": Span(0.0, 0.6),
            "weight_decay": Span(1e-3, 1e-1, log=True),
        },
    ),
    "ranker": SearchSpace(
        "ndcg_at_100",
        {
            "ranker.learning_rate": Span(3e-4, 1e-2, log=True),
            "ranker.dropout": Span(0.0, 0.5),
            "ranker.weight_decay": Span(1e-4, 1e-1, log=True),
        },
    ),
}


def searched(
    settings: Mapping[str, "DataclassInstance"], only: Sequence[str], data: TrainingData, trials: int
) -> dict[str, "DataclassInstance"]:
    """Returns the settings with the best found for the parts named, or for all that can be searched.

    Raises:
        TrainingRefused: a part named cannot be searched.
    """
    unknown = sorted(set(only) - set(_SPACES))
    if unknown:
        raise TrainingRefused(f"nothing to search in {', '.join(unknown)}; parts with a search: {', '.join(_SPACES)}")
    chosen = dict(settings)
    for name in only or _SPACES:
        step = _STEPS[name][1]
        if only or not step(settings[name]).applies(data):
            chosen[name] = search_settings(step, settings[name], _SPACES[name], data, trials)
    return chosen


def check_warm_start(settings: Mapping[str, object], only: Sequence[str], data: TrainingData) -> None:
    """Checks that the steps that will run fit the warm start.

    Raises:
        ModelNotUsable: a part is damaged or of another width.
    """
    start = data.warm_start
    if start is None:
        return
    if start.encoder is not None and data.encoder is not None and (not only or ENCODER in only):
        check_encoder(start.encoder, data.encoder.folder)
    if not only or USER_TOWER in only:
        tower = settings[USER_TOWER]
        assert isinstance(tower, UserTowerSettings)
        earlier_tower(data, tower)


def steps_of(settings: Mapping[str, object]) -> tuple[Step, ...]:
    """Returns the steps in their order, each with its settings."""
    return tuple(step(settings[name]) for name, (_, step) in _STEPS.items())
