"""A limit on memory: settings whose arrays would pass it are lowered, and what cannot fit is refused at the start."""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.ranking.features import FEATURE_NAMES
from domain.errors import ConfigurationError, TrainingRefused
from training.encoder.train import EncoderSettings
from training.ranking.recall_settings import RecallSettings
from training.run.dataset import TrainingData
from training.run.steps.ranker import RankingSettings
from training.run.usage import size_words

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Resident memory of the program with torch and the encoder loaded.
_PROGRAM = 900e6
# Fine-tuning's weights, gradients and activations beside that, with the default batch.
_FINE_TUNING = 1.6e9
# EASE holds its matrix, a copy by columns, and parts of the table: float32 each.
_EASE_BYTES = 3 * 4
# Item vectors are held by the base encoder, the trained one, the sources and the ranker's folds.
_VECTOR_COPIES = 5
_EVENT_BYTES = 200
# An array of the ranker's questions, its scaled copy and a batch.
_FEATURE_COPIES = 2.5
_FEWEST_QUESTIONS = 200
_PREFIXES = ("", "K", "M", "G", "T")


def read_size(text: str) -> float:
    """Returns bytes of a size such as 2G, 1.5GB, 800M, or 2GiB, in powers of 1,024.

    Raises:
        ConfigurationError: it is not one.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if found is None or not float(found[1]):
        raise ConfigurationError(f"--memory {text} is not a size; give for example 2G, 1.5GB or 800M")
    return float(found[1]) * float((1024 if found[3] else 1000) ** _PREFIXES.index(found[2].upper()))


@dataclass(frozen=True)
class FittedSettings:
    """Settings that fit a limit.

    Attributes:
        settings: by part.
        changes: sentences about what was lowered.
    """

    settings: dict[str, "DataclassInstance"]
    changes: tuple[str, ...]


def fit_memory(
    settings: Mapping[str, "DataclassInstance"], data: TrainingData, vector_width: int, limit_bytes: float
) -> FittedSettings:
    """Lowers the settings that decide on large arrays, so that a run stays below a limit.

    Args:
        settings: by part.
        data: of the run.
        vector_width: numbers of an item's content vector; 0 without texts.
        limit_bytes: of the process.

    Raises:
        TrainingRefused: the data alone would not fit; the message names the least limit.
    """
    events = sum(len(history) for history in data.split.train)
    held = _PROGRAM + 4 * _VECTOR_COPIES * data.item_count * vector_width + _EVENT_BYTES * events
    least = 1.25 * held
    if limit_bytes < least:
        raise TrainingRefused(
            f"--memory {size_words(limit_bytes)} is too little: the program, {events:,} events and {data.item_count:,} "
            f"items take about {size_words(held)}; give {_size_from(least)} or more, or fewer items and events"
        )
    free, changes, fitted = limit_bytes - held, [], dict(settings)
    recall, ranking, encoder = (fitted[name] for name in ("collaborative", "ranker", "encoder"))
    assert isinstance(recall, RecallSettings)
    assert isinstance(ranking, RankingSettings)
    assert isinstance(encoder, EncoderSettings)
    cap, known = int(math.sqrt(free / _EASE_BYTES)), int(data.split.known.sum())
    if cap < min(recall.ease.item_cap, known):
        recall = _capped(recall, cap)
        changes.append(f"collaborative.ease.item_cap {cap:,}: above it each item is regressed on its neighbours")
    if cap < min(ranking.recall.ease.item_cap, known):
        ranking = dataclasses.replace(ranking, recall=_capped(ranking.recall, cap))
        changes.append(f"ranker.recall.ease.item_cap {cap:,}: likewise")
    questions = int(free / 2 / (_FEATURE_COPIES * 4 * ranking.examples.candidate_limit * len(FEATURE_NAMES)))
    if questions < ranking.examples.case_limit:
        questions = max(questions, _FEWEST_QUESTIONS)
        ranking = dataclasses.replace(ranking, examples=dataclasses.replace(ranking.examples, case_limit=questions))
        changes.append(f"ranker.examples.case_limit {questions:,}")
    if free < _FINE_TUNING and encoder.contrastive.resolved_mode() != "off":
        encoder = dataclasses.replace(encoder, contrastive=dataclasses.replace(encoder.contrastive, mode="off"))
        changes.append(f"encoder.contrastive.mode off: fine-tuning takes {size_words(_FINE_TUNING)} more")
    fitted |= {"collaborative": recall, "ranker": ranking, "encoder": encoder}
    return FittedSettings(fitted, tuple(changes))


def _capped(recall: RecallSettings, cap: int) -> RecallSettings:
    return dataclasses.replace(recall, ease=dataclasses.replace(recall.ease, item_cap=cap))


def _size_from(least: float) -> str:
    """Returns a size in words that is not below the one in bytes, as rounding would make it."""
    step = 1e7 if least >= 1e9 else 1e6
    return size_words(math.ceil(least / step) * step)
