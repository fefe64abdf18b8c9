"""Makes the list: pass by pass, then what fills it where too little exists.

The candidates and their order in a pass never depend on how many items are asked for, and a pass is only made where the
passes before it brought too few: the list for k is the beginning of the list for any larger k.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from core.ranking.blend import PRIOR
from core.ranking.dislikes import STRENGTH, STRENGTH_BESIDE_TEXT, STRENGTH_IGNORED, STRENGTH_IGNORED_BESIDE_TEXT
from core.ranking.fusion import Candidate, SourceView, candidates_of, fuse
from core.retrieval.source import RecalledList
from domain.interpretation import NumberOrder
from domain.recommendation import DEFAULT_PERSONALIZATION
from domain.scene import FallbackList
from server.stages.arrange_scores import ADJUSTED_PLACES, ScoreAdjustment, adjusted
from server.stages.aspects import by_aspects
from server.stages.cold_start import cold_start, fallback_rows
from server.stages.history import History
from server.stages.order import Ordered, by_history, by_numbers, by_ranker, without_disliked, without_ignored
from server.stages.rank import Ranked
from server.stages.recall import DEEPER, Recalled, RecallRequest, recall
from server.stages.release import ServingRelease
from server.stages.scope import Scope
from server.stages.text_order import TextCandidates, TextRequest, order_candidates, recalled_rows, text_candidates

_STEP = 1e-6


@dataclass(frozen=True)
class ListRequest:
    """One request as its list is made.

    Attributes:
        recall: what the sources are asked.
        text: the text and the history, for their order.
        history: the caller's.
        scope: the rows that may be returned.
        release: the release.
        min_relevance: least relevance of an item, 0 to 1; None leaves nothing out.
        orders: numbers by which what is relevant is ordered, the first counting most.
        adjustment: boosts and novelty; None where scores stay as they are.
        whole_passes: whether every candidate of a pass is made, however few are needed.
        fallback: list for a caller of whom nothing is known, and for the end of a list; None for none.
    """

    recall: RecallRequest
    text: TextRequest
    history: History
    scope: Scope
    release: ServingRelease
    min_relevance: float | None = None
    orders: tuple[NumberOrder, ...] = ()
    adjustment: ScoreAdjustment | None = None
    whole_passes: bool = False
    fallback: FallbackList | None = None

    @cached_property
    def says_nothing(self) -> bool:
        """True without text and history: only conditions and wishes speak."""
        return not self.recall.by_text and self.recall.query.is_empty

    @property
    def dislike_strength(self) -> float:
        """By how many spreads of scores an item sinks that is like a disliked one; 0 lets none sink."""
        if not self.history.disliked_rows:
            return 0.0
        if not self.recall.by_text:
            return STRENGTH
        return STRENGTH_BESIDE_TEXT * self.text.personalization / DEFAULT_PERSONALIZATION

    @property
    def ignored_strength(self) -> float:
        """By how many spreads of scores an item sinks that was shown often and never touched; 0 lets none sink."""
        if not self.history.ignored:
            return 0.0
        if not self.recall.by_text:
            return STRENGTH_IGNORED
        return STRENGTH_IGNORED_BESIDE_TEXT * self.text.personalization / DEFAULT_PERSONALIZATION


@dataclass
class Shortlist:
    """A list as it grows.

    Attributes:
        candidates: best first.
        relevance: by row; empty without a text.
        recalled: what the sources found, of every pass made.
        best_relevance: of any candidate, also of those left out; None without a text.
        tiers: of each candidate, the pass or filler that brought it, ascending.
        lifted: rows that novelty moved up.
    """

    candidates: list[Candidate] = field(default_factory=list)
    relevance: dict[int, float] = field(default_factory=dict)
    recalled: list[Recalled] = field(default_factory=list)
    best_relevance: float | None = None
    tiers: list[int] = field(default_factory=list)
    lifted: set[int] = field(default_factory=set)
    _rows: set[int] = field(default_factory=set)
    _tier: int = 0

    def add(self, ordered: Ordered, least: float) -> None:
        """Appends the candidates that it does not hold, and whose relevance is not below `least`."""
        if ordered.best_relevance is not None:
            self.best_relevance = max(ordered.best_relevance, self.best_relevance or 0.0)
        self._tier += 1
        self.lifted |= ordered.lifted
        relevance = [None] * len(ordered.candidates) if ordered.relevance is None else ordered.relevance.tolist()
        for candidate, share in zip(ordered.candidates, relevance, strict=True):
            if candidate.row in self._rows:
                continue
            self._rows.add(candidate.row)
            if share is not None:
                if share < least:
                    continue
                self.relevance[candidate.row] = share
            self._append(candidate)

    @property
    def row_count(self) -> int:
        """Rows that it holds, or left out."""
        return len(self._rows)

    def recalled_counts(self) -> dict[str, int]:
        """Returns how many candidates each source found."""
        rows: dict[str, list[np.ndarray]] = {}
        for recalled in self.recalled:
            for part in recalled.lists:
                rows.setdefault(part.source, []).append(part.rows)
        # No list has a row twice; those of several passes may share some.
        return {
            name: len(parts[0]) if len(parts) == 1 else len(np.unique(np.concatenate(parts)))
            for name, parts in rows.items()
        }

    def _append(self, candidate: Candidate) -> None:
        """Appends a candidate; scores fall along the list."""
        last = self.candidates[-1].score if self.candidates else None
        if last is not None and candidate.score > last:
            candidate = replace(candidate, score=last - _STEP)
        self.candidates.append(candidate)
        self.tiers.append(self._tier)


@dataclass(frozen=True)
class Pass:
    """A pass, with what was made of its candidates before the list, as of a first one.

    Attributes:
        recalled: what it recalled.
        ranked: the ranker's answer for it; None where no ranker was asked.
        scored: a text's candidates for its ranker; None without one.
    """

    recalled: Recalled
    ranked: Ranked | None = None
    scored: TextCandidates | None = None


def shortlist(request: ListRequest, first: Pass, count: int) -> Shortlist:
    """Returns at least `count` items where so many exist.

    Args:
        request: the request.
        first: its first pass.
        count: items wanted.
    """
    found = Shortlist()
    least = request.min_relevance or 0.0
    for recalled, ordered in _passes(request, first, lambda: count + found.row_count):
        found.recalled.append(recalled)
        found.add(ordered, least)
        if len(found.candidates) >= count:
            return found
    if request.min_relevance is not None:
        return found
    for filler in _fillers(request, found, count):
        found.add(filler, least)
        if len(found.candidates) >= count:
            break
    return found


def first_recall(request: ListRequest) -> Recalled:
    """Returns what the first pass recalls."""
    return recall(request.recall, request.release, request.scope.passes[0], int(request.scope.listed))


def _passes(request: ListRequest, first: Pass, needed: Callable[[], int]) -> Iterator[tuple[Recalled, Ordered]]:
    """Yields what each pass recalled, in its order; a pass is made when it is asked for."""
    start = int(request.scope.listed)
    for number, blocked in enumerate(request.scope.passes):
        for deeper in range(start, len(DEEPER) + 1):
            is_first = number == 0 and deeper == start
            made = first if is_first else Pass(recall(request.recall, request.release, blocked, deeper))
            yield made.recalled, _ordered(request, made, blocked, needed())
            if made.recalled.exhausted:
                break


def _ordered(request: ListRequest, made: Pass, blocked: np.ndarray, needed: int) -> Ordered:
    if request.orders and request.says_nothing:
        return by_numbers(request.orders, Ordered(_rows(np.flatnonzero(~blocked))), request.release)
    adjustment = request.adjustment
    if request.says_nothing:
        tired = request.ignored_strength
        most = max(needed, ADJUSTED_PLACES) if tired or adjustment is not None else needed
        named = request.recall.query.named
        disliked = request.history.disliked_rows
        listed = cold_start(request.release, blocked, most, disliked, request.fallback, named=named)
        listed = without_ignored(listed, request.history.ignored, tired) if tired else listed
        return listed if adjustment is None else adjusted(listed, adjustment)
    # Candidates are dear to make, and only those that come back are needed, unless something orders them again.
    strength, tired = request.dislike_strength, request.ignored_strength
    again = (
        request.orders or strength or tired or request.min_relevance is not None or adjustment or request.whole_passes
    )
    ordered = _by_fit(request, made, blocked, len(blocked) if again else needed)
    if strength:
        ordered = without_disliked(ordered, request.history.disliked_rows, request.release, strength)
    if tired:
        ordered = without_ignored(ordered, request.history.ignored, tired)
    if adjustment is not None:
        ordered = adjusted(ordered, adjustment)
    return by_numbers(request.orders, ordered, request.release) if request.orders else ordered


def _rows(rows: np.ndarray) -> list[Candidate]:
    """Returns rows that only a number speaks for."""
    return [Candidate(row, 0.0, ()) for row in rows.tolist()]


def _by_fit(request: ListRequest, made: Pass, blocked: np.ndarray, count: int) -> Ordered:
    release, recalled = request.release, made.recalled
    if request.recall.by_text:
        rows = np.flatnonzero(~blocked) if request.scope.listed else recalled_rows(recalled)
        scored = made.scored
        if scored is None or not np.array_equal(scored.match.rows, rows):
            scored = text_candidates(request.text, rows, release)
        return order_candidates(request.text, recalled.lists, scored, release, count)
    comments, aspects = request.history.aspects, release.aspects
    # Aspects order all candidates again.
    most = count if comments is None or aspects is None else None
    ranked = made.ranked
    ordered = by_history(recalled, release, most) if ranked is None else by_ranker(ranked, release, most)
    if comments is None or aspects is None:
        return ordered
    return replace(ordered, candidates=by_aspects(ordered.candidates, comments, aspects, len(ordered.candidates)))


def _fillers(request: ListRequest, found: Shortlist, count: int) -> Iterator[Ordered]:
    """Yields what lengthens a list that is too short.

    For a text, what suits the history; the scene's fallback; where a scene names its sources, what the others find;
    what is popular; what lies below a threshold; what no vector can speak for; for a caller's own list, the rest of it.
    """
    release, query = request.release, request.recall.query
    for blocked in request.scope.passes:
        if request.recall.by_text and request.text.has_history:
            lists = recall(replace(request.recall, by_text=False), release, blocked)
            yield _fill(by_history(lists, release).candidates, found)
        if request.fallback is not None:
            rows = fallback_rows(request.fallback, release, blocked)
            yield _fill(candidates_of((), rows, np.zeros(len(rows))), found)
        if not request.recall.by_text and request.recall.sources is not None and not query.is_empty:
            lists = recall(request.recall.by_all_sources(), release, blocked)
            yield _fill(by_history(lists, release).candidates, found)
        popular = release.sources.get(PRIOR)
        if popular is not None:
            listed = RecalledList(PRIOR, *popular.search(query, count + len(found.candidates), blocked))
            yield _fill(candidates_of((listed,), listed.rows, listed.scores), found)
    below = [part for recalled in found.recalled[-1:] for part in recalled.below_threshold]
    yield _fill(fuse(below, sum(len(part.rows) for part in below), release.sources.order), found)
    for blocked in request.scope.passes:
        if release.fill.can_answer(query):
            rows, _ = release.fill.search(query, count + len(found.candidates), blocked)
            yield _last(rows, release.fill.name, found)
        if request.scope.listed:
            yield _last(release.sources.by_id(np.flatnonzero(~blocked)), release.fill.name, found)


def _fill(candidates: Sequence[Candidate], found: Shortlist) -> Ordered:
    """Returns candidates with scores that go on falling below 0."""
    score = _filler_bound(found)
    return Ordered([replace(one, score=score - place * _STEP) for place, one in enumerate(candidates, start=1)])


def _last(rows: np.ndarray, name: str, found: Shortlist) -> Ordered:
    """Returns rows in the order of their ids, which share one score."""
    score = _filler_bound(found)
    return Ordered(
        [Candidate(row, score, (SourceView(name, place, 0.0),)) for place, row in enumerate(rows.tolist(), start=1)]
    )


def _filler_bound(found: Shortlist) -> float:
    """Returns the upper bound for scores of filler items."""
    return min([0.0, *(candidate.score for candidate in found.candidates[-1:])])
