"""The pipeline: one request, top to bottom.

    history -> represent -> recall (and filter) -> rank -> explain

What cannot be done in time is left out in this order: explanations, the ranker, the user tower, the encoder.

Each step takes and returns domain values; `rpc/` turns them from and into protobuf.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TypeVar

from core.ranking.fusion import Candidate
from domain.errors import DeadlineExceeded, ModelUnavailable
from domain.item import Item
from domain.recommendation import (
    Degradation,
    DegradationReason,
    ItemMask,
    RankedItem,
    Recommendation,
    RecommendQuery,
    SourceRank,
)
from server.deadline import Deadline
from server.models.ranker import Ranker
from server.stages.aspects import SPARE_COUNT, by_aspects
from server.stages.closeness import ExplainedRequest, closeness_of, similarities
from server.stages.explain import explain
from server.stages.history import History, read_history
from server.stages.order import blended_candidates
from server.stages.rank import Ranking, RankInput, ask_ranker, rank_input, ranked
from server.stages.recall import Recalled, recall, with_fill
from server.stages.release import ServingRelease
from server.stages.represent import Represented, represent
from server.trace import Trace

# With less time left than this the reply goes out without explanations.
_EXPLAIN_RESERVE_S = 0.005
# Looking up this many events takes well under a millisecond.
_INLINE_EVENTS = 50
# Kept back from the ranker's time; with less left it is not asked.
_RANK_RESERVE_S = 0.008

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Recommender:
    """Answers requests from the live release.

    Attributes:
        live: returns the live release; raises NoRelease where there is none.
        searchers: threads in which indexes are searched.
        unreadable_limit: above this share of text that the encoder cannot read, shared words are matched instead.
    """

    live: Callable[[], ServingRelease]
    searchers: Executor
    unreadable_limit: float

    async def recommend(self, query: RecommendQuery, deadline: Deadline, trace: Trace) -> Recommendation:
        """Returns the best items for one request; records its stages in `trace`.

        Raises:
            NoRelease, NothingToGoOn, InvalidRequest: nothing can be, or may be, recommended.
            EncoderUnavailable: the encoder is away and nothing can be recalled without it.
            Overloaded, DeadlineExceeded: not in time.
        """
        release = self.live()
        history = await self._history(query, release)
        with trace.stage("represent"):
            represented = await represent(
                query, history, release, deadline, trace, unreadable_limit=self.unreadable_limit
            )
        request = _Request(query, history, represented, release)
        if release.ranker is None or not len(history.events):
            request, left_out = _in_time(request, deadline)
            recalled, items = await self._in_thread(_shortlist, request, trace)
        else:
            recalled, candidates = await self._in_thread(_candidates, request, release.ranker, trace)
            ranking, not_ranked = await self._ranking(candidates, release.ranker, deadline, trace)
            request, left_out = _in_time(request, deadline)
            left_out = not_ranked + left_out
            items = await self._in_thread(_finished, request, recalled, ranking, trace)
        if not items and represented.encoder_error is not None:
            raise represented.encoder_error
        return Recommendation(
            items=tuple(items),
            release_id=release.release_id,
            stage_times=trace.times(),
            degradations=represented.degradations + left_out,
            shortfall_count=query.k - len(items),
            unknown_token_share=represented.unknown_token_share,
            unknown_item_ids=history.unknown_item_ids,
            recalled_counts={found.source: len(found.rows) for found in (*recalled.lists, recalled.popular)},
        )

    async def _ranking(
        self, candidates: RankInput | None, ranker: Ranker, deadline: Deadline, trace: Trace
    ) -> tuple["_Ranked | None", tuple[Degradation, ...]]:
        """Asks the ranker where there is something to rank; also returns what was left out."""
        if candidates is None:
            return None, ()
        with trace.stage("rank"), trace.stage("rank_triton"):
            try:
                # Explanations go first: they get only what is left after the ranker.
                ranking = await ask_ranker(ranker, candidates, deadline.earlier_by(_RANK_RESERVE_S))
            except (ModelUnavailable, DeadlineExceeded):
                return None, (_NOT_RANKED,)
        return _Ranked(candidates, ranking), ()

    async def _in_thread(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self.searchers, work, *arguments)

    async def _history(self, query: RecommendQuery, release: ServingRelease) -> History:
        """Looks the history up; a long one in a worker thread."""
        if len(query.events) + len(query.item_ids) <= _INLINE_EVENTS:
            return read_history(query, release)
        return await asyncio.get_running_loop().run_in_executor(self.searchers, read_history, query, release)


@dataclass(frozen=True)
class _Request:
    """One request as the indexes are searched with it."""

    query: RecommendQuery
    history: History
    represented: Represented
    release: ServingRelease


@dataclass(frozen=True)
class _Ranked:
    """Candidates and the ranker's answer."""

    candidates: RankInput
    ranking: Ranking


def _in_time(request: _Request, deadline: Deadline) -> tuple[_Request, tuple[Degradation, ...]]:
    """Leaves explanations out where there is no time for them."""
    if not request.query.explain or deadline.remaining_s() > _EXPLAIN_RESERVE_S:
        return request, ()
    return replace(request, query=replace(request.query, explain=False)), (_NOT_EXPLAINED,)


def _shortlist(request: _Request, trace: Trace) -> tuple[Recalled, list[RankedItem]]:
    """Recalls, orders, explains and details in one go; in a worker thread, so that the event loop never waits."""
    with trace.stage("recall"):
        recalled = recall(request.query, request.history, request.represented, request.release)
    return recalled, _finished(request, recalled, None, trace)


def _candidates(request: _Request, ranker: Ranker, trace: Trace) -> tuple[Recalled, RankInput | None]:
    """Recalls, and makes the ranker's features; in a worker thread."""
    with trace.stage("recall"):
        recalled = recall(request.query, request.history, request.represented, request.release)
    with trace.stage("rank"):
        return recalled, rank_input(ranker, request.history, recalled, request.release)


def _finished(
    request: _Request, recalled: Recalled, ranked_candidates: _Ranked | None, trace: Trace
) -> list[RankedItem]:
    """Orders, explains and details; in a worker thread."""
    query, release = request.query, request.release
    with trace.stage("rank"):
        candidates = with_fill(_best(request, recalled, ranked_candidates), recalled, query.k)
        probabilities = {} if ranked_candidates is None else ranked_candidates.ranking.probabilities
        items = _items(candidates, request, probabilities)
    with trace.stage("explain"):
        if query.explain:
            items = _explained(items, candidates, request, recalled)
        if query.item_mask is not None:
            items = _detailed(items, candidates, query.item_mask, release)
    return items


def _best(request: _Request, recalled: Recalled, ranked_candidates: _Ranked | None) -> list[Candidate]:
    """Orders what was recalled; goods that suit the caller's comments move up."""
    k, comments, aspects = request.query.k, request.history.aspects, request.release.aspects
    count = k if comments is None else k + SPARE_COUNT
    if ranked_candidates is None:
        best = blended_candidates(recalled, request.release, count)
    else:
        best = ranked(ranked_candidates.candidates, ranked_candidates.ranking, count)
    return best[:k] if comments is None or aspects is None else by_aspects(best, comments, aspects, k)


_NOT_EXPLAINED = Degradation(DegradationReason.EXPLANATION_SKIPPED, "there was no time left to explain the items")
_NOT_RANKED = Degradation(
    DegradationReason.RANKER_UNAVAILABLE,
    "the ranker could not be asked in time; the sources that recalled the items alone gave their order",
)


def _items(candidates: Sequence[Candidate], request: _Request, probabilities: Mapping[int, float]) -> list[RankedItem]:
    rows = [candidate.row for candidate in candidates]
    cosines = similarities(request.represented, rows, request.release)
    ids = request.release.catalogue.ids_of(rows)
    return [
        RankedItem(
            id=item_id,
            rank=place,
            score=candidate.score,
            similarity=cosine,
            provenance=tuple(SourceRank(view.source, view.rank, view.score) for view in candidate.views),
            match_probability=probabilities.get(candidate.row),
        )
        for place, (candidate, item_id, cosine) in enumerate(zip(candidates, ids, cosines, strict=True), start=1)
    ]


def _explained(
    items: Sequence[RankedItem], candidates: Sequence[Candidate], request: _Request, recalled: Recalled
) -> list[RankedItem]:
    release = request.release
    compared = ExplainedRequest(request.history, request.represented, recalled, release)
    closeness = closeness_of(candidates, [item.similarity for item in items], compared)
    reasons = {source.name: source.reason for source in (*release.sources, release.fill)}
    explanations = explain(candidates, closeness, reasons)
    return [replace(item, explanation=why) for item, why in zip(items, explanations, strict=True)]


def _detailed(
    items: Sequence[RankedItem], candidates: Sequence[Candidate], mask: ItemMask, release: ServingRelease
) -> list[RankedItem]:
    details = release.catalogue.items_of([candidate.row for candidate in candidates])
    return [replace(item, item=_masked(detail, mask)) for item, detail in zip(items, details, strict=True)]


def _masked(item: Item, mask: ItemMask) -> Item:
    """Leaves only the details asked for."""
    everything = "attributes" in mask.fields
    return Item(
        id=item.id,
        title=item.title if "title" in mask.fields else "",
        text=item.text if "text" in mask.fields else "",
        available=item.available and "available" in mask.fields,
        attributes={name: value for name, value in item.attributes.items() if everything or name in mask.attributes},
    )
