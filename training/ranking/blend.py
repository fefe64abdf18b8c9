"""Fits the blend's weights on validation, and scores histories by it as a gateway orders them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.events import EventSequence
from core.ranking.blend import PRIOR, Blend, ShortBlend, blend_scores, history_order, history_sources, list_length
from core.retrieval.source import RecalledList, SourceQuery, recall_lists
from domain.progress import Progress, SilentProgress
from training.ranking.blend_cases import BlendCases, BlendSettings
from training.ranking.pools import CandidatePools
from training.ranking.sources import FittedSources
from training.splits.short_histories import SHORT_HISTORIES

# A source may be the first of a blend from this share of the best one's metric on.
_NEARLY_AS_GOOD = 0.8


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

    def __post_init__(self) -> None:
        """Sets the half-lives of the sources to the blend's."""
        if self.fitted.half_lives != self.blend.half_lives:
            object.__setattr__(self, "fitted", replace(self.fitted, half_lives=self.blend.half_lives))

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


def choose_blend(cases: BlendCases, settings: BlendSettings | None = None, progress: Progress | None = None) -> Blend:
    """Starts from the best single source and adds others where validation NDCG@100 gains by them.

    Without validation cases every source counts alike.
    """
    settings, progress = settings or BlendSettings(), progress or SilentProgress()
    if not len(cases.whole):
        return Blend(dict.fromkeys((name for name in cases.names if name != PRIOR), 1.0), cases.list_lengths)
    blend = Blend(_weights(cases.whole, settings, progress, "hybrid recall"), cases.list_lengths)
    if not len(cases.short):
        return blend
    few = _weights(cases.short, settings, progress, "hybrid recall, short histories")
    return replace(blend, short=ShortBlend(few, max(SHORT_HISTORIES)))


def _weights(pools: CandidatePools, settings: BlendSettings, progress: Progress, name: str) -> Mapping[str, float]:
    chosen = choose_weights(pools, settings)
    progress.step(
        f"{name} {chosen.weights}: validation NDCG@100 {chosen.metric:.4f} over {len(pools):,} questions "
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


def choose_weights(pools: CandidatePools, settings: BlendSettings) -> ChosenWeights:
    """Starts from a single source and adds others where NDCG@100 gains by them; returns the best result.

    Each source that is nearly as good as the best is tried as the first: what it has weight 1 in may be out of reach
    of another, such as a little similarity beside much popularity.

    Args:
        pools: the cases, with the z-scores of every source that may count.
        settings: the weights that are tried.
    """

    def metric(weights: Mapping[str, float]) -> float:
        return float(pools.ndcg(pools.blended(weights)).mean())

    def grown(first: str) -> ChosenWeights:
        weights, best = {first: 1.0}, singles[first]
        for _ in range(settings.rounds):
            for source in (source for source in pools.z_scores if source != first):
                tried = settings.betas if source == PRIOR else settings.tried
                metrics = {weight: metric(weights | {source: weight}) for weight in tried}
                chosen = max(metrics, key=lambda weight: (metrics[weight], -abs(weight)))
                if metrics[chosen] > best * (1 + settings.least_gain):
                    weights, best = weights | {source: chosen}, metrics[chosen]
        return ChosenWeights(weights, best, first, singles[first])

    singles = {source: metric({source: 1.0}) for source in pools.z_scores}
    strongest = max(singles.values())
    best_first = sorted(singles, key=lambda source: -singles[source])
    return max(
        (grown(first) for first in best_first if singles[first] >= _NEARLY_AS_GOOD * strongest),
        key=lambda chosen: chosen.metric,
    )


def blend_ndcg(blend: Blend, pools: CandidatePools) -> np.ndarray:
    """Returns float64[B], NDCG@100 of the pools in the order of a blend."""
    scores = pools.blended(blend.weights)
    if blend.short is not None:
        few = pools.event_count <= blend.short.most_events
        scores[few] = pools.blended(blend.short.weights)[few]
    return pools.ndcg(scores)


def crossed_ndcg(cases: BlendCases, settings: BlendSettings | None = None) -> float:
    """Returns the blend's NDCG@100 over the validation cases, each evaluated by weights that the other half chose.

    The metric of weights on the cases that chose them is too high. With a single case there is no other half.
    """
    if not len(cases.whole):
        return 0.0
    halves = [cases.half(start) for start in (0, 1)]
    if not all(len(half.whole) for half in halves):
        return float(blend_ndcg(choose_blend(cases, settings), cases.whole).mean())
    total = sum(blend_ndcg(choose_blend(other, settings), half.whole).sum() for half, other in (halves, halves[::-1]))
    return float(total / len(cases.whole))
