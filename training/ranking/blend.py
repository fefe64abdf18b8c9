"""Hybrid recall: the sources' scores blended by weights from validation; log P(x | i) + beta log P(i) is one (T7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.events import EventSequence
from core.ranking.blend import ProxyBlend, ShortBlend
from domain.progress import Progress, SilentProgress
from training.ranking.sources import POPULAR, Recall
from training.splits.short_histories import SHORT_HISTORIES, little_known
from training.splits.split import EvalSet
from training.splits.validation import ndcg_by_case, validation_ndcg

PRIOR = POPULAR
# A source may be the first of a blend from this share of the best one's figure on.
_NEARLY_AS_GOOD = 0.8


@dataclass(frozen=True)
class HybridSettings:
    """How weights are found.

    Attributes:
        tried: weights that a source may have beside the strongest source's 1.
        betas: weights of the prior log P(i); negative ones turn towards the unknown.
        least_gain: relative gain in validation NDCG@100 that another weight must bring, so that noise brings none.
        rounds: passes over the sources.
    """

    tried: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)
    betas: tuple[float, ...] = (-0.4, -0.2, -0.1, 0.0, 0.1, 0.2, 0.4)
    least_gain: float = 0.005
    rounds: int = 2


@dataclass(frozen=True)
class Hybrid:
    """A weighted blend of the sources, each standardised over the items that it can speak of.

    Attributes:
        recall: the sources.
        weights: by source name; the prior's is beta.
        within: bool[n], rows over which scores are standardised.
        told: how histories that are only told are answered; None where nothing was learned of them.
        short: the weights for histories of a few events; None for those of all others.
    """

    recall: Recall
    weights: Mapping[str, float]
    within: np.ndarray
    told: ProxyBlend | None = None
    short: ShortBlend | None = None

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; with an empty history the prior alone decides."""
        scores = self.recall.source_scores(histories)
        total = self._blended(scores, self.weights)
        if self.short is not None:
            few = np.array([len(history) <= self.short.most_events for history in histories], bool)
            if few.any():
                total[few] = self._blended({name: one[few] for name, one in scores.items()}, self.short.weights)
        return total

    def _blended(self, scores: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
        total = np.zeros_like(scores[PRIOR])
        silent = np.ones(len(total), bool)
        for source, weight in weights.items():
            if weight and source in scores:
                standard = z_scores(scores[source], self.within)
                total += np.float32(weight) * standard
                silent &= (source == PRIOR) | ~standard.any(axis=1)
        total[silent] = z_scores(scores[PRIOR][silent], self.within)
        return total


def z_scores(scores: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Brings each row to zero mean and unit spread over the places `within` that have a score; -inf becomes the least.

    Args:
        scores: float32[B, n], -inf where a source cannot say.
        within: bool[n].
    """
    said = np.isfinite(scores)
    counted = said & within
    counts = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    least = np.where(said, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    filled = np.where(said, scores, np.where(np.isfinite(least), least, 0)).astype(np.float32)
    mean = np.where(counted, filled, 0).sum(axis=1, keepdims=True) / counts
    spread = np.sqrt(np.where(counted, (filled - mean) ** 2, 0).sum(axis=1, keepdims=True) / counts)
    return np.where(spread > 1e-9, (filled - mean) / np.maximum(spread, 1e-9), 0).astype(np.float32)


def with_prior(log_likelihood: np.ndarray, log_prior: np.ndarray, beta: float) -> np.ndarray:
    """Returns log P(x | i) + beta log P(i), up to a constant log P(i | x) for beta = 1 (Bayes).

    Args:
        log_likelihood: float[..., n].
        log_prior: float[n].
        beta: weight of the prior; 0 leaves the likelihood's order, equal likelihoods leave the prior's.
    """
    total: np.ndarray = log_likelihood + beta * log_prior
    return total


def fit_hybrid(
    recall: Recall, validation: EvalSet, settings: HybridSettings | None = None, progress: Progress | None = None
) -> Hybrid:
    """Starts from the best single source and lets others in where validation NDCG@100 gains by them.

    Without validation cases every source counts alike.
    """
    settings, progress = settings or HybridSettings(), progress or SilentProgress()
    others = [source for source in recall.sources if source != PRIOR]
    hybrid = Hybrid(recall, dict.fromkeys(others, 1.0), validation.candidates)
    if not validation.cases:
        return hybrid
    hybrid = replace(hybrid, weights=_weights(recall, validation, settings, progress))
    short = little_known(validation)
    if not short.cases:
        return hybrid
    weights = _weights(recall, short, settings, progress)
    return replace(hybrid, short=ShortBlend(weights, max(SHORT_HISTORIES)))


def _weights(recall: Recall, part: EvalSet, settings: HybridSettings, progress: Progress) -> Mapping[str, float]:
    scores = recall.source_scores([case.history for case in part.cases])
    standard = {source: z_scores(found, part.candidates) for source, found in scores.items()}
    chosen = choose_weights(standard, part, settings)
    progress.step(
        f"hybrid recall {chosen.weights}: validation NDCG@100 {chosen.figure:.4f} over {len(part.cases)} questions "
        f"({chosen.first} alone {chosen.first_figure:.4f})"
    )
    return chosen.weights


@dataclass(frozen=True)
class ChosenWeights:
    """The weights that validation chose.

    Attributes:
        weights: by source name.
        figure: their NDCG@100 on the cases that chose them.
        first: the single source that it began with; its weight is 1.
        first_figure: its own NDCG@100.
    """

    weights: Mapping[str, float]
    figure: float
    first: str
    first_figure: float


def choose_weights(standard: Mapping[str, np.ndarray], validation: EvalSet, settings: HybridSettings) -> ChosenWeights:
    """Starts from a single source and lets others in where NDCG@100 gains by them; the best of what came out.

    Each source that is nearly as good as the best begins once: what it has weight 1 in may be out of reach of another,
    such as a little likeness beside much popularity.

    Args:
        standard: standardised scores, float32[cases, n], by source name.
        validation: the cases.
        settings: the weights that are tried.
    """

    def figure(weights: Mapping[str, float]) -> float:
        blend = sum(np.float32(weight) * standard[source] for source, weight in weights.items() if weight)
        return float(ndcg_by_case(np.asarray(blend), validation).mean())

    def grown(first: str) -> ChosenWeights:
        weights, best = {first: 1.0}, singles[first]
        for _ in range(settings.rounds):
            for source in (source for source in standard if source != first):
                tried = settings.betas if source == PRIOR else settings.tried
                figures = {weight: figure(weights | {source: weight}) for weight in tried}
                chosen = max(figures, key=lambda weight: (figures[weight], -abs(weight)))
                if figures[chosen] > best * (1 + settings.least_gain):
                    weights, best = weights | {source: chosen}, figures[chosen]
        return ChosenWeights(weights, best, first, singles[first])

    singles = {source: figure({source: 1.0}) for source in standard}
    strongest = max(singles.values())
    best_first = sorted(singles, key=lambda source: -singles[source])
    return max(
        (grown(first) for first in best_first if singles[first] >= _NEARLY_AS_GOOD * strongest),
        key=lambda blend: blend.figure,
    )


def crossed_ndcg(recall: Recall, validation: EvalSet, settings: HybridSettings | None = None) -> float:
    """Returns the blend's NDCG@100 over the validation cases, each judged by weights that the other half chose.

    What weights do on the cases that chose them flatters. With a single case there is no other half.
    """
    cases, candidates = validation.cases, validation.candidates
    halves = [EvalSet(cases[0::2], candidates), EvalSet(cases[1::2], candidates)]
    if not all(half.cases for half in halves):
        return validation_ndcg(fit_hybrid(recall, validation, settings), validation)
    judged = [
        len(half.cases) * validation_ndcg(fit_hybrid(recall, other, settings), half)
        for half, other in (halves, halves[::-1])
    ]
    return sum(judged) / len(cases)
