"""Strength of a history beside a text: as much as helps, as long as the text leads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.ranking.history_effect import history_share
from core.ranking.text_features import TextHistory
from training.ranking.text_questions import DEPTH, MatchedQuestion

_RESAMPLES = 1_000


@dataclass(frozen=True)
class StrengthSettings:
    """Settings of the search for a strength.

    Attributes:
        tried: strengths, in text scores.
        fewest: questions without which the default stays.
        question_limit: most questions.
        least_kept: share of a text's own top ten that has to stay where one unrelated item was viewed.
        least_first: share of the texts whose first item has to stay first then.
    """

    tried: tuple[float, ...] = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.2, 0.25, 0.3)
    fewest: int = 50
    question_limit: int = 600
    least_kept: float = 0.85
    least_first: float = 0.98


@dataclass(frozen=True)
class FittedStrength:
    """The strength that validation chose.

    Attributes:
        strength: in text scores.
        ratio: NDCG@10 with the history over that of the text alone.
        low: lower end of its 95 % interval, over users.
        high: upper end.
        kept: share of a text's own top ten beside an unrelated viewed item.
        question_count: questions that chose.
    """

    strength: float
    ratio: float
    low: float
    high: float
    kept: float
    question_count: int


def fit_history_strength(
    matched: Sequence[MatchedQuestion],
    own: Sequence[TextHistory],
    unrelated: Sequence[TextHistory],
    settings: StrengthSettings,
    seed: int,
) -> FittedStrength | None:
    """Chooses the strength with the best NDCG@10 among those that leave a text its lead.

    Args:
        matched: questions with candidates.
        own: what the user's history says of each question's candidates.
        unrelated: the same of one viewed item that has nothing to do with the text.
        settings: what is tried.
        seed: of the interval.

    Returns:
        None with too few questions, or where the history says nothing of them.
    """
    if len(matched) < settings.fewest or all(history.z_scores is None for history in own):
        return None
    alone = _ndcgs(matched, own, 0.0)
    best: tuple[float, np.ndarray, float] = (0.0, alone, 1.0)
    for strength in settings.tried:
        kept, first = _kept(matched, unrelated, strength)
        ndcgs = _ndcgs(matched, own, strength)
        if kept >= settings.least_kept and first >= settings.least_first and ndcgs.mean() > best[1].mean():
            best = (strength, ndcgs, kept)
    groups = np.array([one.question.group for one in matched])
    low, high = _ratio_interval(best[1], alone, groups, seed)
    ratio = float(best[1].mean() / alone.mean()) if alone.any() else float("nan")
    return FittedStrength(best[0], ratio, low, high, best[2], len(matched))


def combined_scores(one: MatchedQuestion, history: TextHistory, strength: float) -> np.ndarray:
    """Returns float32[C], the scores by which a gateway orders the candidates."""
    if history.z_scores is None:
        return one.match.scores
    scores: np.ndarray = one.match.scores + np.float32(strength) * history_share(history.z_scores)
    return scores


def _ndcgs(matched: Sequence[MatchedQuestion], histories: Sequence[TextHistory], strength: float) -> np.ndarray:
    return np.array(
        [one.ndcg(combined_scores(one, history, strength)) for one, history in zip(matched, histories, strict=True)]
    )


def _kept(matched: Sequence[MatchedQuestion], histories: Sequence[TextHistory], strength: float) -> tuple[float, float]:
    """Returns which share of the texts' own top ten stays there, and of their first items first."""
    shares, first = [], []
    for one, history in zip(matched, histories, strict=True):
        own, changed = (
            np.lexsort((one.match.rows, -scores))[:DEPTH]
            for scores in (one.match.scores, combined_scores(one, history, strength))
        )
        shares.append(np.isin(own, changed).mean())
        first.append(own[0] == changed[0])
    return float(np.mean(shares)), float(np.mean(first))


def _ratio_interval(values: np.ndarray, others: np.ndarray, groups: np.ndarray, seed: int) -> tuple[float, float]:
    """Returns the 95 % interval of mean(values) / mean(others), users drawn with replacement (Efron 1979)."""
    _, place = np.unique(groups, return_inverse=True)
    count = place.max() + 1
    sums = np.stack([np.bincount(place, column, count) for column in (values, others)])
    drawn = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    above, below = sums[:, drawn].sum(axis=2)
    ratios = above[below > 0] / below[below > 0]
    if not len(ratios):
        return float("nan"), float("nan")
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
