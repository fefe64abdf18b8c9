"""Cases by which a blend is chosen: recalled candidates of validation histories, whole and short, and their recency."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.ranking.blend import Blend, list_length
from core.retrieval.semantic import SemanticHistorySource
from domain.progress import Progress
from domain.recommendation import Source
from training.ranking.pools import CandidatePools, recall_pools, source_ndcg
from training.ranking.sources import FittedSources
from training.splits.short_histories import SHORT_HISTORIES, cut_histories
from training.splits.split import EvalSet

# Sources that can weigh the events of a history by their order.
_WEIGHABLE = frozenset(
    {Source.COLLABORATIVE.value, Source.SEMANTIC_HISTORY.value, Source.NEXT_ITEM.value, Source.SIMILAR_USERS.value}
)
# Of the cases that are drawn where there are too many.
_CASE_SEED = 0


@dataclass(frozen=True)
class BlendSettings:
    """Settings of the search for weights.

    Attributes:
        tried: weights that a source may have beside the strongest source's 1.
        betas: weights of the prior log P(i); negative ones turn towards the unknown.
        least_gain: relative gain in validation NDCG@100 that another weight must bring, so that noise brings none.
        rounds: passes over the sources.
        case_limit: most validation cases that are recalled for, and most short ones; drawn where there are more.
        half_lives: in events, tried for each source that can weigh a history by its order; 0, all alike, is tried too.
    """

    tried: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)
    betas: tuple[float, ...] = (-0.4, -0.2, -0.1, 0.0, 0.1, 0.2, 0.4)
    least_gain: float = 0.005
    rounds: int = 2
    case_limit: int = 2_000
    half_lives: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class BlendCases:
    """Recalled candidates of the cases that choose the weights.

    Attributes:
        names: of the sources, in their order.
        list_lengths: items that each source recalls, by its name.
        whole: pools of the cases.
        short: pools of the same cases with their last few events alone.
        short_parent: int64[S], the place in `whole` of each short case.
    """

    names: tuple[str, ...]
    list_lengths: Mapping[str, int]
    whole: CandidatePools
    short: CandidatePools
    short_parent: np.ndarray

    @classmethod
    def of(
        cls,
        fitted: FittedSources,
        validation: EvalSet,
        settings: BlendSettings | None = None,
        progress: Progress | None = None,
    ) -> "BlendCases":
        """Recalls for at most `settings.case_limit` cases, and as many short ones, drawn by a fixed seed."""
        settings = settings or BlendSettings()
        part = blend_sample(validation, settings.case_limit)
        asked = Blend(list_lengths=fitted.list_lengths)
        lengths = {source.name: list_length(asked, source.name) for source in fitted.sources}

        def pools(cases: EvalSet) -> CandidatePools:
            return recall_pools(
                fitted.sources, cases, lambda some: fitted.queries([case.history for case in some]), lengths, progress
            )

        short, parent = _short_cases(part, settings.case_limit)
        names = tuple(source.name for source in fitted.sources)
        return cls(names, fitted.list_lengths, pools(part), pools(short), parent)

    def half(self, start: int) -> "BlendCases":
        """Returns every second case, from place 0 or 1 on."""
        return replace(
            self,
            whole=self.whole.take(np.arange(start, len(self.whole), 2)),
            short=self.short.take(np.flatnonzero(self.short_parent % 2 == start)),
            short_parent=self.short_parent[self.short_parent % 2 == start] // 2,
        )

    def best_source(self) -> float:
        """Returns the best NDCG@100 of one source alone over the whole histories."""
        return max(float(self.whole.ndcg(scores).mean()) for scores in self.whole.z_scores.values())


def choose_half_lives(
    fitted: FittedSources, validation: EvalSet, settings: BlendSettings, progress: Progress
) -> dict[str, float]:
    """Returns the half-life of each source whose own validation NDCG@100 gains by one, in events."""
    part = blend_sample(validation, settings.case_limit)
    histories = [case.history for case in part.cases]
    chosen: dict[str, float] = {}
    sources = [source for source in fitted.sources if source.name in _WEIGHABLE]
    if not part.cases:
        return chosen
    with progress.track("recency", len(sources) * (1 + len(settings.half_lives)), "settings") as advance:
        for source in sources:
            # What the other sources go by, such as the tower's user vectors, is not computed.
            content = fitted.content if source.name == SemanticHistorySource.name else None
            asked = replace(fitted, tower=None, content=content)
            metrics = {}
            for half_life in (0.0, *settings.half_lives):
                queries = replace(asked, half_lives={source.name: half_life}).queries(histories)
                metrics[half_life] = source_ndcg(source, queries, part)
                advance(1)
            best = max(metrics, key=lambda half_life: metrics[half_life])
            if metrics[best] > metrics[0.0] * (1 + settings.least_gain):
                chosen[source.name] = best
                figures = f"NDCG@100 {metrics[best]:.4f} for {metrics[0.0]:.4f}"
                progress.step(f"    {source.name}: half-life of {best:g} events, {figures}")
    return chosen


def blend_sample(validation: EvalSet, limit: int) -> EvalSet:
    """Returns the cases that choose a blend, at most `limit`; the ranker is judged by the same ones."""
    return validation.sample(limit, _CASE_SEED)


def _short_cases(part: EvalSet, limit: int) -> tuple[EvalSet, np.ndarray]:
    """Returns the last one and three events of the cases that had more, at most `limit`, and each one's case."""
    cases, parents = [], []
    for count in SHORT_HISTORIES:
        for place, (whole, case) in enumerate(zip(part.cases, cut_histories(part, count).part.cases, strict=True)):
            if len(whole.history) > count:
                cases.append(case)
                parents.append(place)
    kept = np.arange(len(cases))
    if len(cases) > limit:
        kept = np.sort(np.random.default_rng(_CASE_SEED).choice(len(cases), limit, replace=False))
    chosen = EvalSet(tuple(cases[place] for place in kept.tolist()), part.candidates)
    return chosen, np.array(parents, np.int64)[kept]
