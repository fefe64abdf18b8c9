"""The pipeline: one request, top to bottom.

    history -> understand -> represent -> recall (and filter) -> order | rank -> arrange -> explain

What cannot be done in time is left out in this order: explanations, the ranker, the user tower, the encoder.

Each step takes and returns domain values; `rpc/` turns them from and into protobuf.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from core.ranking.features import FEATURE_NAMES
from domain.errors import (
    DeadlineExceeded,
    FieldViolation,
    InvalidRequest,
    ModelUnavailable,
    NotServed,
    Overloaded,
    StoreFull,
    StoreUnavailable,
)
from domain.recommendation import (
    Degradation,
    DegradationReason,
    RankedItem,
    Recommendation,
    RecommendQuery,
    Source,
)
from domain.user_history import Caller
from server.admission.level import ServiceLevel
from server.deadline import Deadline
from server.models.ranker import Ranker
from server.stages.arrange import arranged, with_seed
from server.stages.history import History, read_history
from server.stages.items import detailed, explained, ranked_items
from server.stages.rank import Ranked, RankInput, ask_ranker, rank_input, served_items
from server.stages.release import ServingRelease
from server.stages.represent import represent
from server.stages.request import StagedRequest
from server.stages.scope import meets_named
from server.stages.shed import RANKER_SHED, without_explanations
from server.stages.shortlist import ListRequest, Pass, Shortlist, first_recall
from server.stages.stored import with_stored
from server.stages.text_order import recalled_rows, text_candidates
from server.stages.text_rank import text_rank_input
from server.stages.understand import Understood, understand
from server.stages.wording import Wordings
from server.trace import Trace
from server.users.event_log import EventLog

# With less time left than this the reply goes out without explanations.
_EXPLAIN_RESERVE_S = 0.005
# Looking up this many events, or reading a text of so many characters, takes well under a millisecond.
_INLINE_EVENTS = 50
_INLINE_CHARACTERS = 256
# Of the time that is left, so much is waited for the store of events; then the reply goes out without it.
_STORE_SHARE = 0.3
# The same for remembering what the reply shows: it is finished by then.
_SHOWN_SHARE = 0.7
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
        events: what is kept of users; None where nothing is.
    """

    live: Callable[[], ServingRelease]
    searchers: Executor
    unreadable_limit: float
    wordings: Wordings = field(default_factory=Wordings.load)
    events: EventLog | None = None

    async def recommend(  # noqa: PLR0913 -- each is a fact of the call
        self,
        query: RecommendQuery,
        deadline: Deadline,
        trace: Trace,
        level: ServiceLevel = ServiceLevel.FULL,
        release: ServingRelease | None = None,
        *,
        request_id: str = "",
    ) -> Recommendation:
        """Returns the best items for one request; records its stages in `trace`.

        Args:
            query: the request.
            deadline: of the answer.
            trace: takes the stages.
            level: of service.
            release: that answers; None for the live one.
            request_id: under which served features are logged.

        Raises:
            NoRelease, InvalidRequest: nothing can be, or may be, recommended.
            EncoderUnavailable: the encoder is away and nothing can be recalled without it.
            Overloaded, DeadlineExceeded: not in time.
        """
        release, started_s = release or self.live(), time.monotonic()
        _check_page(query, release)
        query, shed = without_explanations(with_seed(query), level)
        with trace.stage("user"):
            query, unkept = await self._with_stored(query, deadline)
        history = await self._history(query, release)
        with trace.stage("represent"):
            understood = await self._understood(query, release)
            represented = await represent(
                understood.search_text,
                history,
                release,
                deadline,
                trace,
                unreadable_limit=self.unreadable_limit,
                words_only=level is ServiceLevel.WORDS_ONLY,
            )
        request = StagedRequest(query, understood, history, represented, release, self.wordings)
        ranked: Ranked | None = None
        left_out: tuple[Degradation, ...] = ()
        ranker = request.ranker
        if ranker is not None and level >= ServiceLevel.NO_RANKER:
            ranker, shed = None, (*shed, RANKER_SHED)
        if ranker is not None:
            prepared, candidates = await self._in_thread(_candidates, request, ranker, trace)
            ranked, left_out = await self._ranking(candidates, ranker, deadline, trace)
            request, not_explained = _in_time(request, deadline)
            finished = await self._in_thread(_finished, request, prepared, ranked, trace)
        else:
            request, not_explained = _in_time(request, deadline)
            finished = await self._in_thread(_shortlisted, request, trace)
        if not finished.items and represented.encoder_error is not None:
            if level is ServiceLevel.WORDS_ONLY:
                raise Overloaded("the gateway has more calls than it can answer, and shared words found nothing")
            raise represented.encoder_error
        caller, events = query.caller, self.events
        kept = caller is not None and events is not None and not events.forgotten_since(caller, started_s)
        if query.without_repeats and kept:
            unkept += await self._shown(query, finished.items, deadline)
        if caller is not None and ranked is not None and ranker is not None and not ranker.judges_texts and kept:
            self._log_features(caller, request_id, ranked, finished.items, release)
        return Recommendation(
            items=finished.items,
            release_id=release.release_id,
            stage_times=trace.times(),
            degradations=(*unkept, *represented.degradations, *shed, *left_out, *not_explained, *finished.degradations),
            shortfall_count=query.k - len(finished.items),
            unknown_token_share=represented.unknown_token_share,
            unknown_item_ids=(*history.unknown_item_ids, *finished.unknown_ids),
            recalled_counts=finished.recalled_counts,
            interpretation=understood.interpretation,
            corrected_text=finished.corrected_text,
            next_offset=finished.next_offset,
            unplaced_item_ids=finished.unplaced_ids,
            seed=query.arrangement.seed if query.arrangement.exploration else None,
            scene=query.scene,
        )

    async def _with_stored(
        self, query: RecommendQuery, deadline: Deadline
    ) -> tuple[RecommendQuery, tuple[Degradation, ...]]:
        """Adds what is kept of the caller; also returns what could not be read.

        Raises:
            InvalidRequest: the token is another store's.
        """
        events, caller = self.events, query.caller
        if caller is None:
            return query, ()
        if events is None:
            if query.event_token or query.without_repeats:
                name = "event_token" if query.event_token else "without_repeats"
                raise NotServed(name, "this gateway keeps no events: its event_store is off")
            return query, ()
        try:
            async with asyncio.timeout(_STORE_SHARE * max(0.0, deadline.remaining_s())):
                stored = await events.user(caller, query.event_token, with_shown=query.without_repeats)
        except (StoreUnavailable, TimeoutError):
            return query, (_NOT_REMEMBERED,)
        settings = events.settings
        return with_stored(query, stored, settings.seen_rules, settings.shown_s, time.time()), ()

    async def _shown(
        self, query: RecommendQuery, items: Sequence[RankedItem], deadline: Deadline
    ) -> tuple[Degradation, ...]:
        """Remembers what the reply shows; returns what could not be kept in time."""
        if self.events is None or query.caller is None or not items:
            return ()
        try:
            async with asyncio.timeout(_SHOWN_SHARE * max(0.0, deadline.remaining_s())):
                await self.events.show(query.caller, [item.id for item in items])
        except (StoreUnavailable, StoreFull, TimeoutError):
            return (_NOT_SHOWN,)
        return ()

    def _log_features(
        self, caller: Caller, request_id: str, ranked: Ranked, items: Sequence[RankedItem], release: ServingRelease
    ) -> None:
        """Logs what the ranker saw of a list that is shown, where it is in the sample; a shadow's has no request id."""
        features = None if self.events is None else self.events.features
        if features is None or not request_id or not features.wants(request_id):
            return
        shown = {item.id: item.rank for item in items}
        item_ids = {row: item_id for item_id, row in release.catalogue.rows_of(shown).items()}
        features.add(caller, request_id, release.release_id, FEATURE_NAMES, served_items(ranked, item_ids, shown))

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
                return None, (_NOT_JUDGED if ranker.judges_texts else _NOT_RANKED,)
        return Ranked(candidates, ranking), ()

    async def _in_thread(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self.searchers, work, *arguments)

    async def _history(self, query: RecommendQuery, release: ServingRelease) -> History:
        """Looks the history up; a long one, or one that another process has, in a worker thread."""
        if not release.catalogue.is_remote and len(query.events) + len(query.item_ids) <= _INLINE_EVENTS:
            return read_history(query, release)
        return await self._in_thread(read_history, query, release)

    async def _understood(self, query: RecommendQuery, release: ServingRelease) -> Understood:
        """Reads the text; a long one in a worker thread."""
        if len(query.text) <= _INLINE_CHARACTERS:
            return understand(query, release.interpreter)
        return await self._in_thread(understand, query, release.interpreter)


@dataclass(frozen=True)
class _Prepared:
    """A request's list before it is ranked, and its first pass."""

    listing: ListRequest
    first: Pass


@dataclass(frozen=True)
class _Finished:
    """A request's items, and what the reply says of them."""

    items: tuple[RankedItem, ...]
    degradations: tuple[Degradation, ...]
    unknown_ids: tuple[str, ...]
    recalled_counts: Mapping[str, int]
    corrected_text: str
    next_offset: int | None
    unplaced_ids: tuple[str, ...]


def _check_page(query: RecommendQuery, release: ServingRelease) -> None:
    """Refuses a page of another release's list.

    Raises:
        InvalidRequest: it is one.
    """
    if query.page is not None and query.page.release_id != release.release_id:
        raise InvalidRequest(
            FieldViolation("page_token", f"continues a list of release {query.page.release_id}; begin the list again")
        )


def _in_time(request: StagedRequest, deadline: Deadline) -> tuple[StagedRequest, tuple[Degradation, ...]]:
    """Leaves explanations out where there is no time for them."""
    if not request.query.explain or deadline.remaining_s() > _EXPLAIN_RESERVE_S:
        return request, ()
    return replace(request, query=replace(request.query, explain=False)), (_NOT_EXPLAINED,)


def _shortlisted(request: StagedRequest, trace: Trace) -> _Finished:
    """Recalls, orders, explains and details in one go; in a worker thread, so that the event loop never waits."""
    with trace.stage("recall"):
        listing = request.for_list()
        first = first_recall(listing)
    return _finished(request, _Prepared(listing, Pass(first)), None, trace)


def _candidates(request: StagedRequest, ranker: Ranker, trace: Trace) -> tuple[_Prepared, RankInput | None]:
    """Recalls, and makes the ranker's features; in a worker thread."""
    with trace.stage("recall"):
        listing = request.for_list()
        first = first_recall(listing)
    with trace.stage("rank"):
        listed = None
        if listing.scope.listed:
            listed = np.flatnonzero(~listing.scope.blocked)
        elif listing.recall.by_text:
            listed = recalled_rows(first)
        if listed is not None and ranker is request.release.text_ranker:
            scored = text_candidates(listing.text, listed, request.release)
            ranked = text_rank_input(ranker, listing.text, first, request.release, scored)
            return _Prepared(listing, Pass(first, scored=scored)), ranked
        return _Prepared(listing, Pass(first)), rank_input(ranker, request.history, first, request.release, listed)


def _finished(request: StagedRequest, prepared: _Prepared, ranked: Ranked | None, trace: Trace) -> _Finished:
    """Orders, explains and details; in a worker thread."""
    query, release, listing = request.query, request.release, prepared.listing
    last = query.offset + query.k
    with trace.stage("rank" if query.arrangement.is_empty else "arrange"):
        arrangement = arranged(listing, replace(prepared.first, ranked=ranked), query.arrangement, last + 1)
    found = arrangement.found
    with trace.stage("rank"):
        candidates = found.candidates[query.offset : last]
        items = ranked_items(candidates, request, arrangement, ranked)
    with trace.stage("explain"):
        if query.explain:
            items = explained(items, candidates, request, prepared.first.recalled)
        if query.item_mask is not None:
            items = detailed(items, candidates, query.item_mask, release)
    return _Finished(
        items=tuple(items),
        degradations=(*_shortcomings(found, request, listing), *arrangement.degradations),
        unknown_ids=listing.scope.unknown_ids,
        unplaced_ids=arrangement.unplaced_ids,
        recalled_counts=found.recalled_counts(),
        corrected_text=listing.recall.corrected_text,
        next_offset=last if len(found.candidates) > last else None,
    )


def _shortcomings(found: Shortlist, request: StagedRequest, listing: ListRequest) -> tuple[Degradation, ...]:
    """Returns in what way the list is worse than the request asks for."""
    represented = request.represented
    if listing.says_nothing and not request.query.text and not request.history.disliked_rows:
        if listing.fallback is not None:
            return (_fallback(listing.fallback.name),)
        return (_TRENDING_FIRST if Source.TRENDING in found.recalled_counts() else _COLD_START,)
    if not represented.by_text or represented.encoder_error is not None:
        return ()
    # Words alone say too little of relevance: where no vector was made, only that nothing at all matched.
    floor = request.release.relevance.floor if represented.query.text_vector is not None else 0.0
    best = found.best_relevance
    if best is not None and best >= floor:
        return ()
    named = best is not None and any(
        meets_named(one.row, request.understood, request.release) for one in found.candidates[:1]
    )
    return () if named else (_NOTHING_RELEVANT,)


_NOT_REMEMBERED = Degradation(
    DegradationReason.USER_HISTORY_UNAVAILABLE,
    "the store of events could not be read; what is kept of the caller did not count",
)
_NOT_SHOWN = Degradation(
    DegradationReason.USER_HISTORY_UNAVAILABLE,
    "the store of events could not be written; the items of this reply may come again",
)
_NOT_EXPLAINED = Degradation(DegradationReason.EXPLANATION_SKIPPED, "there was no time left to explain the items")
_NOT_RANKED = Degradation(
    DegradationReason.RANKER_UNAVAILABLE,
    "the ranker could not be asked in time; the sources that recalled the items alone gave their order",
)
_NOT_JUDGED = Degradation(
    DegradationReason.RANKER_UNAVAILABLE,
    "the text ranker could not be asked in time; the order is the text's, without probabilities",
)
_COLD_START = Degradation(
    DegradationReason.COLD_START, "nothing is known of the caller; the list is what is popular, or new, for everybody"
)

_TRENDING_FIRST = Degradation(
    DegradationReason.COLD_START, "nothing is known of the caller; the list is what many chose of late, for everybody"
)


def _fallback(name: str) -> Degradation:
    return Degradation(
        DegradationReason.COLD_START, f'nothing is known of the caller; the list begins with the fallback list "{name}"'
    )


_NOTHING_RELEVANT = Degradation(
    DegradationReason.NOTHING_RELEVANT, "no item fits the text; the list is what comes closest to it"
)
