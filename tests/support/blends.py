"""Blends that are fitted in one call."""

from core.ranking.blend import Blend
from training.ranking.blend import choose_blend
from training.ranking.blend_cases import BlendCases, BlendSettings
from training.ranking.sources import FittedSources
from training.splits.split import EvalSet


def fit_blend(fitted: FittedSources, validation: EvalSet, settings: BlendSettings | None = None) -> Blend:
    return choose_blend(BlendCases.of(fitted, validation, settings), settings)
