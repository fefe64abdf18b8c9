"""The pipeline: one request, top to bottom.

    history -> understand -> represent -> recall (and filter) -> order | rank -> explain

What cannot be done in time is left out in this order: explanations, the ranker, the user tower, the encoder.

Each step takes and returns domain values; `rpc/` turns them from and into protobuf.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from core.ranking.fusion import Candidate
from domain.condition import Condition
from domain.errors import DeadlineExceeded, FieldViolation, InvalidRequest, ModelUnavailable
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
from server.stages.closeness import ExplainedRequest, closeness_of, similarities
from server.stages.explain import ExplanationRules, explain
from server.stages.history import History, read_history
from server.stages.rank import Ranked, RankInput, ask_ranker, rank_input
from server.stages.recall import Recalled, RecallRequest
from server.stages.release import ServingRelease
from server.stages.represent import Represented, represent
from server.stages.scope import scope_of
from server.stages.shortlist import ListRequest, Shortlist, first_recall, shortlist
from server.stages.text_order import TextRequest
from server.stages.understand import Understood, understand
from server.stages.wording import Wordings
from server.stages.wording.language import language_for
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
        wordings: of explanations, by language.
    """

    live: Callable[[], ServingRelease]
    searchers: Executor
    unreadable_limit: float
    wordings: Wordings = field(default_factory=Wordings.load)

    async def recommend(self, query: RecommendQuery, deadline: Deadline, trace: Trace) -> Recommendation:
        """Returns the best items for one request; records its stages in `trace`.

        Raises:
            NoRelease, InvalidRequest: nothing can be, or may be, recommended.
            EncoderUnavailable: the encoder is away and nothing can be recalled without it.
            Overloaded, DeadlineExceeded: not in time.
        """
        release = self.live()
        _check_page(query, release)
        history = await self._history(query, release)
        with trace.stage("represent"):
            understood = understand(query, release.interpreter)
            represented = await represent(
                query, understood.search_text, history, release, deadline, trace, unreadable_limit=self.unreadable_limit
            )
        request = _Request(query, understood, history, represented, release, self.wordings)
        ranked: Ranked | None = None
        left_out: tuple[Degradation, ...] = ()
        if release.ranker is not None and len(history.events):
            prepared, candidates = await self._in_thread(_candidates, request, release.ranker, trace)
            ranked, left_out = await self._ranking(candidates, release.ranker, deadline, trace)
            request, not_explained = _in_time(request, deadline)
            finished = await self._in_thread(_finished, request, prepared, ranked, trace)
        else:
            request, not_explained = _in_time(request, deadline)
            finished = await self._in_thread(_shortlisted, request, trace)
        if not finished.items and represented.encoder_error is not None:
            raise represented.encoder_error
        return Recommendation(
            items=finished.items,
            release_id=release.release_id,
            stage_times=trace.times(),
            degradations=(*represented.degradations, *left_out, *not_explained, *finished.degradations),
            shortfall_count=query.k - len(finished.items),
            unknown_token_share=represented.unknown_token_share,
            unknown_item_ids=(*history.unknown_item_ids, *finished.unknown_ids),
            recalled_counts=finished.recalled_counts,
            interpretation=understood.interpretation,
            corrected_text=represented.corrected_text,
            next_offset=finished.next_offset,
        )

    async def _ranking(
        self, candidates: RankInput | None, ranker: Ranker, deadline: Deadline, trace: Trace
    ) -> tuple[Ranked | None, tuple[Degradation, ...]]:
        """Asks the ranker where there is something to rank; also returns what was left out."""
        if candidates is None:
            return None, ()
        with trace.stage("rank"), trace.stage("rank_triton"):
            try:
                # Explanations go first: they get only what is left after the ranker.
                ranking = await ask_ranker(ranker, candidates, deadline.earlier_by(_RANK_RESERVE_S))
            except (ModelUnavailable, DeadlineExceeded):
                return None, (_NOT_RANKED,)
        return Ranked(candidates, ranking), ()

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
    understood: Understood
    history: History
    represented: Represented
    release: ServingRelease
    wordings: Wordings

    @property
    def named_wishes(self) -> tuple[Condition, ...]:
        """Conditions that the request prefers, or that its text names."""
        return (*self.query.preferences, *(wish.condition for wish in self.understood.interpretation.wishes))

    def for_list(self) -> ListRequest:
        """Returns what its list is made from.

        Raises:
            InvalidRequest: a condition does not fit the catalogue's attributes.
        """
        recall_request = RecallRequest.of(self.query, self.history, self.represented, self.release)
        return ListRequest(
            recall_request,
            TextRequest(recall_request.query, self.query.personalization, self.history.aspects),
            self.history,
            scope_of(self.query, self.understood, self.history, self.release),
            self.release,
            self.query.min_relevance if recall_request.by_text else None,
            self.understood.interpretation.orders,
        )


@dataclass(frozen=True)
class _Prepared:
    """A request's list before it is ranked, and what its first pass recalled."""

    listing: ListRequest
    first: Recalled


@dataclass(frozen=True)
class _Finished:
    """A request's items, and what the reply says of them."""

    items: tuple[RankedItem, ...]
    degradations: tuple[Degradation, ...]
    unknown_ids: tuple[str, ...]
    recalled_counts: Mapping[str, int]
    next_offset: int | None


def _check_page(query: RecommendQuery, release: ServingRelease) -> None:
    """Refuses a page of another release's list.

    Raises:
        InvalidRequest: it is one.
    """
    if query.page is not None and query.page.release_id != release.release_id:
        raise InvalidRequest(
            FieldViolation("page_token", f"continues a list of release {query.page.release_id}; begin the list again")
        )


def _in_time(request: _Request, deadline: Deadline) -> tuple[_Request, tuple[Degradation, ...]]:
    """Leaves explanations out where there is no time for them."""
    if not request.query.explain or deadline.remaining_s() > _EXPLAIN_RESERVE_S:
        return request, ()
    return replace(request, query=replace(request.query, explain=False)), (_NOT_EXPLAINED,)


def _shortlisted(request: _Request, trace: Trace) -> _Finished:
    """Recalls, orders, explains and details in one go; in a worker thread, so that the event loop never waits."""
    with trace.stage("recall"):
        listing = request.for_list()
        first = first_recall(listing)
    return _finished(request, _Prepared(listing, first), None, trace)


def _candidates(request: _Request, ranker: Ranker, trace: Trace) -> tuple[_Prepared, RankInput | None]:
    """Recalls, and makes the ranker's features; in a worker thread."""
    with trace.stage("recall"):
        listing = request.for_list()
        first = first_recall(listing)
    with trace.stage("rank"):
        listed = None
        if listing.scope.listed:
            listed = np.flatnonzero(~listing.scope.blocked)
        elif listing.recall.by_text:
            listed = np.unique(np.concatenate([np.empty(0, np.int64), *(found.rows for found in first.lists)]))
        return _Prepared(listing, first), rank_input(ranker, request.history, first, request.release, listed)


def _finished(request: _Request, prepared: _Prepared, ranked: Ranked | None, trace: Trace) -> _Finished:
    """Orders, explains and details; in a worker thread."""
    query, release, listing = request.query, request.release, prepared.listing
    with trace.stage("rank"):
        last = query.offset + query.k
        found = shortlist(listing, prepared.first, ranked, last + 1)
        candidates = found.candidates[query.offset : last]
        items = _items(candidates, request, found, ranked)
    with trace.stage("explain"):
        if query.explain:
            items = _explained(items, candidates, request, prepared.first)
        if query.item_mask is not None:
            items = _detailed(items, candidates, query.item_mask, release)
    return _Finished(
        items=tuple(items),
        degradations=_shortcomings(found, request, listing),
        unknown_ids=listing.scope.unknown_ids,
        recalled_counts=found.recalled_counts(),
        next_offset=last if len(found.candidates) > last else None,
    )


def _shortcomings(found: Shortlist, request: _Request, listing: ListRequest) -> tuple[Degradation, ...]:
    """Returns in what way the list is worse than the request asks for."""
    represented = request.represented
    if listing.says_nothing and not request.query.text and not request.history.disliked_rows:
        return (_COLD_START,)
    if not represented.by_text or represented.encoder_error is not None:
        return ()
    # Words alone say too little of relevance: where no vector was made, only that nothing at all matched.
    floor = request.release.relevance.floor if represented.query.text_vector is not None else 0.0
    best = found.best_relevance
    return (_NOTHING_RELEVANT,) if best is None or best < floor else ()


_NOT_EXPLAINED = Degradation(DegradationReason.EXPLANATION_SKIPPED, "there was no time left to explain the items")
_NOT_RANKED = Degradation(
    DegradationReason.RANKER_UNAVAILABLE,
    "the ranker could not be asked in time; the sources that recalled the items alone gave their order",
)
_COLD_START = Degradation(
    DegradationReason.COLD_START, "nothing is known of the caller; the list is what is popular, or new, for everybody"
)
_NOTHING_RELEVANT = Degradation(
    DegradationReason.NOTHING_RELEVANT, "no item fits the text; the list is what comes closest to it"
)


def _items(
    candidates: Sequence[Candidate], request: _Request, found: Shortlist, ranked: Ranked | None
) -> list[RankedItem]:
    rows = [candidate.row for candidate in candidates]
    cosines = similarities(request.represented, rows, request.release)
    ids = request.release.catalogue.ids_of(rows)
    probabilities = {} if ranked is None else ranked.ranking.probabilities
    choices = {} if ranked is None else ranked.ranking.choices
    first = request.query.offset + 1
    return [
        RankedItem(
            id=item_id,
            rank=place,
            score=candidate.score,
            similarity=cosine,
            provenance=tuple(SourceRank(view.source, view.rank, view.score) for view in candidate.views),
            match_probability=probabilities.get(candidate.row),
            relevance=found.relevance.get(candidate.row),
            choice_probability=choices.get(candidate.row),
        )
        for place, (candidate, item_id, cosine) in enumerate(zip(candidates, ids, cosines, strict=True), start=first)
    ]


def _explained(
    items: Sequence[RankedItem], candidates: Sequence[Candidate], request: _Request, recalled: Recalled
) -> list[RankedItem]:
    release, query = request.release, request.query
    compared = ExplainedRequest(
        request.history,
        request.represented,
        recalled,
        release,
        request.named_wishes,
        request.understood.interpretation.orders,
    )
    # Of an item that is no more relevant than the best for texts that mean nothing, closeness is not claimed.
    floor = release.relevance.floor
    cosines = [None if (item.relevance or 0.0) < floor else item.similarity for item in items]
    rules = ExplanationRules(
        release.relevance.close_from,
        release.relevance.resembles_from,
        request.wordings.of(language_for(query, request.history, release)),
    )
    explanations = explain(candidates, closeness_of(candidates, cosines, compared), rules)
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
