"""The text ranker: how likely each candidate of a text is what the caller means, with and without a history."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.events import EventSequence
from core.ranking.item_facts import ItemFacts
from core.ranking.text_features import TEXT_FEATURE_NAMES, TextHistory, text_features
from domain.progress import Progress
from training.ranking.examples import Examples
from training.ranking.ranker import RankerSettings, RankModel, train_ranker
from training.ranking.text_questions import MatchedQuestion
from training.splits.split import EvalCase

# Of a normal distribution, two-sided 95 %.
_QUANTILE = 1.96


@dataclass(frozen=True)
class TextRankerSettings:
    """Settings of the text ranker.

    Attributes:
        draws: late choices of a training user that are asked for.
        question_limit: most questions, of training and of validation.
        fewest: training questions without which there is none.
        silent_share: share of the questions of which no history is given.
        short_share: share of which only the last few events are given.
        short_limit: most of these.
        ranker: of the network.
    """

    draws: int = 3
    question_limit: int = 3_000
    fewest: int = 100
    silent_share: float = 0.4
    short_share: float = 0.2
    short_limit: int = 3
    ranker: RankerSettings = field(default_factory=lambda: RankerSettings(members=2, epochs=15))


def late_cases(histories: Sequence[EventSequence], draws: int) -> list[EvalCase]:
    """Returns a case for each of the last `draws` events of each history of two or more; the first is never asked."""
    return [
        EvalCase("", history.before(place), history.rows[[place]])
        for history in histories
        for place in range(max(1, len(history) - draws), len(history))
    ]


def heard_part(
    matched: Sequence[MatchedQuestion], settings: TextRankerSettings, rng: np.random.Generator
) -> list[EventSequence]:
    """Returns what is given of each question's history: all of it, nothing, or the last few events."""
    histories = []
    for one, draw in zip(matched, rng.random(len(matched)), strict=True):
        history = one.question.history
        if draw < settings.silent_share:
            history = EventSequence()
        elif draw < settings.silent_share + settings.short_share:
            history = history.take(slice(-int(rng.integers(1, settings.short_limit + 1)), None))
        histories.append(history)
    return histories


def text_examples(matched: Sequence[MatchedQuestion], histories: Sequence[TextHistory], facts: ItemFacts) -> Examples:
    """Returns the questions ready for the network.

    Args:
        matched: questions with candidates.
        histories: what is known of the caller in each.
        facts: of the items, fitted without the answers.
    """
    width = max((len(one.match.rows) for one in matched), default=0)
    features = np.zeros((len(matched), width, len(TEXT_FEATURE_NAMES)), np.float32)
    rows = np.full((len(matched), width), -1, np.int64)
    for place, (one, history) in enumerate(zip(matched, histories, strict=True)):
        features[place, : len(one.match.rows)] = text_features(one.match, history, facts)
        rows[place, : len(one.match.rows)] = one.match.rows
    targets = np.array([one.question.target for one in matched], np.int64)
    return Examples(
        features,
        rows >= 0,
        rows == targets[:, None],
        rows,
        np.ones(len(matched), np.int64),
        np.array([one.question.group for one in matched], np.int64),
        np.ones(len(matched), bool),
        np.zeros(len(matched)),
    )


def train_text_ranker(examples: Examples, settings: RankerSettings, seed: int, progress: Progress) -> RankModel:
    """Trains the network; see `train_ranker`.

    Raises:
        ValueError: no question has its answer among the candidates.
    """
    return replace(train_ranker(examples, settings, seed, progress), feature_names=TEXT_FEATURE_NAMES)


@dataclass(frozen=True)
class Comparison:
    """NDCG@10 of a text ranker's order over validation questions, beside that of scores without one.

    Attributes:
        ranker: mean over users.
        plain: mean over users.
        low: lower end of the 95 % interval of the paired difference.
        high: upper end.
    """

    ranker: float
    plain: float
    low: float
    high: float


def compare(
    model: RankModel, examples: Examples, matched: Sequence[MatchedQuestion], plain: Sequence[np.ndarray]
) -> Comparison:
    """Compares the model with plain scores, float32[C] a question; a user counts by the mean of theirs."""
    logits = model.logits(examples.features)
    pairs = np.array(
        [
            (one.ndcg(row[: len(one.match.rows)]), one.ndcg(scores))
            for one, row, scores in zip(matched, logits, plain, strict=True)
        ]
    )
    _, place = np.unique(examples.group, return_inverse=True)
    counts = np.bincount(place)
    ranker, other = (np.bincount(place, pairs[:, column]) / counts for column in (0, 1))
    gain = ranker - other
    spread = _QUANTILE * float(gain.std(ddof=1)) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    return Comparison(
        float(ranker.mean()), float(other.mean()), float(gain.mean() - spread), float(gain.mean() + spread)
    )
