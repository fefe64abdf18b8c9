"""Which steps a run has, in their order, and the settings each takes from a preset."""

from collections.abc import Mapping
from typing import Any

from training.encoder import EncoderSettings
from training.recall import RecallSettings
from training.review_profiles import ReviewProfileSettings
from training.run import Step
from training.steps.aspects import AspectsStep
from training.steps.collaborative import CollaborativeStep
from training.steps.encoder import EncoderStep
from training.steps.ranking import RankingSettings, RankingStep

# One table of a preset each; the step of the same name takes it.
_STEPS: Mapping[str, tuple[type, Any]] = {
    "aspects": (ReviewProfileSettings, AspectsStep),
    "encoder": (EncoderSettings, EncoderStep),
    "collaborative": (RecallSettings, CollaborativeStep),
    "ranker": (RankingSettings, RankingStep),
}

SECTIONS: Mapping[str, type] = {name: settings for name, (settings, _) in _STEPS.items()}


def steps_of(settings: Mapping[str, object]) -> tuple[Step, ...]:
    """Returns the steps in their order, each with its settings."""
    return tuple(step(settings[name]) for name, (_, step) in _STEPS.items())
