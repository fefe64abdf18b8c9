"""Fits the blend's weights on validation, and scores histories by it as a gateway orders them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.events import EventSequence
from core.ranking.blend import PRIOR, Blend, ShortBlend, blend_scores, history_order, history_sources, list_length
from core.retrieval.source import RecalledList, SourceQuery, recall_lists
from domain.progress import Progress, SilentProgress
from training.ranking.sources import FittedSources
from training.splits.short_histories import SHORT_HISTORIES, little_known
from training.splits.split import EvalSet
from training.splits.validation import ndcg_by_case, validation_ndcg

# A source may be the first of a blend from this share of the best one's metric on.
_NEARLY_AS_GOOD = 0.8


@dataclass(frozen=True)
class BlendSettings:
    """Settings of the search for weights.

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
class BlendScorer:
    """The method "hybrid recall": the sources' candidates in the order of the blend, the rest of the catalogue below.

    Attributes:
        fitted: the sources.
        blend: what each counts.
        allowed: bool[n], rows that may be recalled; None for all.
    """

    fitted: FittedSources
    blend: Blend
    allowed: np.ndarray | None = None

    def among(self, allowed: np.ndarray) -> "BlendScorer":
        """Returns the same recalling only among these rows, bool[n], as a request with a condition does."""
        return replace(self, allowed=allowed)

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; with an empty history the prior alone orders."""
        return self.query_scores(self.fitted.queries(histories))

    def query_scores(self, queries: Sequence[SourceQuery]) -> np.ndarray:
        """Returns float32[B, n] for queries of any kind."""
        rows = np.arange(self.fitted.facts.count)
        scores = np.zeros((len(queries), len(rows)), np.float32)
        for row, query in zip(scores, queries, strict=True):
            blended = blend_scores(self.fitted.sources, query, self.blend.weights_for(query), rows)
            if blended is None:
                blended = self.fitted.popular.scores(query, rows, self.fitted.sources.population).z_scores
            row[:] = blended
            order = self.order(query, np.empty(0, np.int64))
            if order is not None:
                row[:] = below(row, order)
        return scores

    def order(self, query: SourceQuery, hidden: np.ndarray) -> RecalledList | None:
        """Returns the candidates of one query in the order in which a gateway would serve them.

        Args:
            query: the query.
            hidden: int64[H], rows that must not be recalled; the history's own are left out besides.

        Returns:
            None where nothing is recalled.
        """
        blocked = np.zeros(self.fitted.facts.count, bool) if self.allowed is None else ~self.allowed
        blocked[query.events.rows] = True
        blocked[hidden] = True
        sources = history_sources(self.fitted.sources, query, self.blend.weights_for(query))
        lengths = {source.name: list_length(self.blend, source.name) for source in sources}
        lists = recall_lists(sources, query, lengths, blocked)
        return history_order(self.fitted.sources, query, self.blend, lists)


def below(scores: np.ndarray, order: RecalledList) -> np.ndarray:
    """Returns float32[n]: the scores of an order's rows, those of all other rows lowered beneath them."""
    rest = np.ones(len(scores), bool)
    rest[order.rows] = False
    lowered = scores.copy()
    if rest.any():
        lowered[rest] -= max(0.0, float(scores[rest].max() - order.scores.min()) + 1.0)
    lowered[order.rows] = order.scores
    return lowered


def fit_blend(
    fitted: FittedSources,
    validation: EvalSet,
    settings: BlendSettings | None = None,
    progress: Progress | None = None,
) -> Blend:
    """Starts from the best single source and adds others where validation NDCG@100 gains by them.

    Without validation cases every source counts alike.
    """
    settings, progress = settings or BlendSettings(), progress or SilentProgress()
    others = [source.name for source in fitted.sources if source.name != PRIOR]
    if not validation.cases:
        return Blend(dict.fromkeys(others, 1.0), fitted.list_lengths)
    blend = Blend(_weights(fitted, validation, settings, progress), fitted.list_lengths)
    short = little_known(validation)
    if not short.cases:
        return blend
    return replace(blend, short=ShortBlend(_weights(fitted, short, settings, progress), max(SHORT_HISTORIES)))


def z_scores(fitted: FittedSources, histories: Sequence[EventSequence]) -> dict[str, np.ndarray]:
    """Returns float32[B, n] by source name, standardised over the population as `blend_scores` does."""
    return {
        name: np.stack([scores.z_scores for scores in by_history])
        for name, by_history in fitted.source_scores(histories).items()
    }


def _weights(fitted: FittedSources, part: EvalSet, settings: BlendSettings, progress: Progress) -> Mapping[str, float]:
    chosen = choose_weights(z_scores(fitted, [case.history for case in part.cases]), part, settings)
    progress.step(
        f"hybrid recall {chosen.weights}: validation NDCG@100 {chosen.metric:.4f} over {len(part.cases)} questions "
        f"({chosen.first} alone {chosen.first_metric:.4f})"
    )
    return chosen.weights


@dataclass(frozen=True)
class ChosenWeights:
    """The weights that validation chose.

    Attributes:
        weights: by source name.
        metric: their NDCG@100 on the cases that chose them.
        first: the single source that the search began with; its weight is 1.
        first_metric: its own NDCG@100.
    """

    weights: Mapping[str, float]
    metric: float
    first: str
    first_metric: float


def choose_weights(standard: Mapping[str, np.ndarray], validation: EvalSet, settings: BlendSettings) -> ChosenWeights:
    """Starts from a single source and adds others where NDCG@100 gains by them; returns the best result.

    Each source that is nearly as good as the best is tried as the first: what it has weight 1 in may be out of reach
    of another, such as a little similarity beside much popularity.

    Args:
        standard: z-scores, float32[cases, n], by source name.
        validation: the cases.
        settings: the weights that are tried.
    """

    def metric(weights: Mapping[str, float]) -> float:
        blend = sum(np.float32(weight) * standard[source] for source, weight in weights.items() if weight)
        return ordering_ndcg(np.asarray(blend), validation)

    def grown(first: str) -> ChosenWeights:
        weights, best = {first: 1.0}, singles[first]
        for _ in range(settings.rounds):
            for source in (source for source in standard if source != first):
                tried = settings.betas if source == PRIOR else settings.tried
                metrics = {weight: metric(weights | {source: weight}) for weight in tried}
                chosen = max(metrics, key=lambda weight: (metrics[weight], -abs(weight)))
                if metrics[chosen] > best * (1 + settings.least_gain):
                    weights, best = weights | {source: chosen}, metrics[chosen]
        return ChosenWeights(weights, best, first, singles[first])

    singles = {source: metric({source: 1.0}) for source in standard}
    strongest = max(singles.values())
    best_first = sorted(singles, key=lambda source: -singles[source])
    return max(
        (grown(first) for first in best_first if singles[first] >= _NEARLY_AS_GOOD * strongest),
        key=lambda chosen: chosen.metric,
    )


def ordering_ndcg(scores: np.ndarray, part: EvalSet) -> float:
    """Returns the mean NDCG@100 of float32[cases, n], 0 for a case whose candidates all have one score.

    Equal scores are ordered by row, and rows are often in an order of age or fame: no merit of the scores.
    """
    among = scores[:, part.candidates]
    ordered = among.max(axis=1, initial=-np.inf) > among.min(axis=1, initial=np.inf)
    return float(np.where(ordered, ndcg_by_case(scores, part), 0.0).mean())


def crossed_ndcg(fitted: FittedSources, validation: EvalSet, settings: BlendSettings | None = None) -> float:
    """Returns the blend's NDCG@100 over the validation cases, each evaluated by weights that the other half chose.

    The metric of weights on the cases that chose them is too high. With a single case there is no other half.
    """

    def ndcg(chosen_by: EvalSet, part: EvalSet) -> float:
        blend = fit_blend(fitted, chosen_by, settings)
        return validation_ndcg(BlendScorer(fitted, blend, validation.candidates), part)

    halves = [EvalSet(validation.cases[start::2], validation.candidates) for start in (0, 1)]
    if not all(half.cases for half in halves):
        return ndcg(validation, validation)
    total = sum(len(half.cases) * ndcg(other, half) for half, other in (halves, halves[::-1]))
    return total / len(validation.cases)
