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

from core.aspects.profile import strongest_shared_aspect
from core.ranking.fusion import Candidate, fuse
from domain.errors import DeadlineExceeded, ModelUnavailable
from domain.item import Item
from domain.recommendation import (
    Degradation,
    DegradationReason,
    Explanation,
    ItemMask,
    RankedItem,
    Recommendation,
    RecommendQuery,
    Source,
    SourceRank,
)
from server.deadline import Deadline
from server.models.ranker import Ranker
from server.release.live_release import LiveRelease
from server.stages.aspects import SPARE_COUNT, by_aspects
from server.stages.explain import Closeness, Resemblance, explain
from server.stages.history import History, read_history
from server.stages.order import blended_candidates
from server.stages.rank import Ranking, RankInput, ask_ranker, rank_input, ranked
from server.stages.recall import Recalled, chosen_with, nearest_of_history, recall, similarities, with_fill
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

    live: Callable[[], LiveRelease]
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
        if release.ranker is None or history.past is None:
            in_time = deadline.remaining_s() > _EXPLAIN_RESERVE_S
            request = replace(request, query=replace(query, explain=query.explain and in_time))
            items = await self._in_thread(_shortlist, request, trace)
            left_out: tuple[Degradation, ...] = ()
        else:
            items, in_time, left_out = await self._ranked(request, release.ranker, deadline, trace)
        if not items and represented.encoder_error is not None:
            raise represented.encoder_error
        if query.explain and not in_time:
            left_out = (*left_out, _NOT_EXPLAINED)
        return Recommendation(
            items=tuple(items),
            release_id=release.manifest.release_id,
            stage_times=trace.times(),
            degradations=represented.degradations + left_out,
            shortfall_count=query.k - len(items),
            unknown_token_share=represented.unknown_token_share,
            unknown_item_ids=history.unknown_item_ids,
        )

    async def _ranked(
        self, request: "_Request", ranker: Ranker, deadline: Deadline, trace: Trace
    ) -> tuple[list[RankedItem], bool, tuple[Degradation, ...]]:
        """Recalls, asks the ranker, finishes; also returns whether there is time to explain, and what was left out."""
        recalled, given = await self._in_thread(_candidates, request, ranker, trace)
        ranking: Ranking | None = None
        left_out: tuple[Degradation, ...] = ()
        if given is not None:
            with trace.stage("rank"), trace.stage("rank_triton"):
                try:
                    # Explanations go first: they get only what is left after the ranker.
                    ranking = await ask_ranker(ranker, given, deadline.earlier_by(_RANK_RESERVE_S))
                except (ModelUnavailable, DeadlineExceeded):
                    left_out = (_NOT_RANKED,)
        in_time = deadline.remaining_s() > _EXPLAIN_RESERVE_S
        request = replace(request, query=replace(request.query, explain=request.query.explain and in_time))
        ranked_input = None if given is None or ranking is None else (given, ranking)
        return await self._in_thread(_finished, request, recalled, ranked_input, trace), in_time, left_out

    async def _in_thread(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self.searchers, work, *arguments)

    async def _history(self, query: RecommendQuery, release: LiveRelease) -> History:
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
    release: LiveRelease


def _shortlist(request: _Request, trace: Trace) -> list[RankedItem]:
    """Recalls, fuses, explains and details; runs in a worker thread, so that the event loop never waits."""
    with trace.stage("recall"):
        recalled = recall(request.query, request.history, request.represented, request.release)
    return _finished(request, recalled, None, trace)


def _candidates(request: _Request, ranker: Ranker, trace: Trace) -> tuple[Recalled, RankInput | None]:
    """Recalls and makes the ranker's features; in a worker thread."""
    with trace.stage("recall"):
        recalled = recall(request.query, request.history, request.represented, request.release)
    with trace.stage("rank"):
        return recalled, rank_input(ranker, request.history, request.represented, recalled)


def _finished(
    request: _Request, recalled: Recalled, given: tuple[RankInput, Ranking] | None, trace: Trace
) -> list[RankedItem]:
    """Orders, explains and details; in a worker thread."""
    query, release = request.query, request.release
    with trace.stage("rank"):
        best = _best(request, recalled, given)
        candidates = with_fill(best, recalled, query.k)
        items = _items(candidates, request.represented, release, {} if given is None else given[1].probabilities)
    with trace.stage("explain"):
        if query.explain:
            items = _explained(
                items, explain(candidates, _closeness(items, candidates, request, recalled), recalled.matched_terms)
            )
        if query.item_mask is not None:
            items = _detailed(items, candidates, query.item_mask, release)
    return items


def _best(request: _Request, recalled: Recalled, given: tuple[RankInput, Ranking] | None) -> list[Candidate]:
    """Orders what was recalled; goods that suit the caller's comments move up."""
    k, said, aspects = request.query.k, request.history.aspects, request.release.data.aspects
    count = k if said is None else k + SPARE_COUNT
    best = _blended(request, recalled, count) if given is None else ranked(*given, count)
    return best[:k] if said is None or aspects is None else by_aspects(best, said, aspects, k)


def _blended(request: _Request, recalled: Recalled, count: int) -> list[Candidate]:
    """Orders what was recalled without a ranker: by the learned blend, or with every source alike."""
    best = blended_candidates(request.history, request.represented, recalled, request.release, count)
    return fuse(recalled.lists, count) if best is None else best


_NOT_EXPLAINED = Degradation(DegradationReason.EXPLANATION_SKIPPED, "there was no time left to explain the items")
_NOT_RANKED = Degradation(
    DegradationReason.RANKER_UNAVAILABLE,
    "the ranker could not be asked in time; the sources that recalled the items alone gave their order",
)


def _items(
    candidates: Sequence[Candidate],
    represented: Represented,
    release: LiveRelease,
    probabilities: Mapping[int, float],
) -> list[RankedItem]:
    cosines = similarities(represented, [candidate.row for candidate in candidates], release)
    return [
        RankedItem(
            id=release.data.items.ids[candidate.row],
            rank=place + 1,
            score=candidate.score,
            similarity=cosines[place],
            provenance=tuple(SourceRank(Source(view.source), view.rank, view.score) for view in candidate.views),
            match_probability=probabilities.get(candidate.row),
        )
        for place, candidate in enumerate(candidates)
    ]


def _closeness(
    items: Sequence[RankedItem], candidates: Sequence[Candidate], request: _Request, recalled: Recalled
) -> list[Closeness]:
    """Returns how close each candidate is to the text, and to the history's nearest item or the told history."""
    queries = request.represented.queries
    # A similarity is measured against the first query, which is the text's where there is one.
    by_text = bool(queries) and queries[0].source is Source.SEMANTIC_TEXT
    nearest = nearest_of_history(request.history, [candidate.row for candidate in candidates], request.release)
    partners = chosen_with(request.history, recalled.told, candidates, request.release)
    return [
        Closeness(
            text=item.similarity if by_text else None,
            history=_resemblance(candidate, found, request.release),
            chosen_with=partner if recalled.told is None else None,
            chosen_with_like="" if partner is None or recalled.told is None else partner[0],
            aspect=_aspect(candidate, request),
        )
        for item, candidate, found, partner in zip(items, candidates, nearest, partners, strict=True)
    ]


def _aspect(candidate: Candidate, request: _Request) -> str:
    """Returns what reviews praise the item for and the caller's comments care about; empty where there is nothing."""
    aspects = request.release.data.aspects
    if aspects is None or request.history.aspects is None:
        return ""
    return strongest_shared_aspect(request.history.aspects, aspects[candidate.row]) or ""


def _resemblance(candidate: Candidate, nearest: tuple[int, float] | None, release: LiveRelease) -> Resemblance | None:
    """A told history has no item to name: its query is its one vector."""
    scores = [view.score for view in candidate.views if view.source == Source.SEMANTIC_HISTORY]
    if not scores:
        return None
    if nearest is None:
        return Resemblance("", scores[0], scores[0])
    return Resemblance(release.data.items.ids[nearest[0]], nearest[1], scores[0])


def _explained(items: Sequence[RankedItem], explanations: Sequence[Explanation]) -> list[RankedItem]:
    return [replace(item, explanation=why) for item, why in zip(items, explanations, strict=True)]


def _detailed(
    items: Sequence[RankedItem], candidates: Sequence[Candidate], mask: ItemMask, release: LiveRelease
) -> list[RankedItem]:
    return [
        replace(item, item=_masked(release.data.items.item(candidate.row), mask))
        for item, candidate in zip(items, candidates, strict=True)
    ]


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
