"""RecommenderService: protobuf in, protobuf out, nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Protocol

import grpc

from domain.recommendation import Recommendation, RecommendQuery
from domain.scene import NO_SCENES, Scenes
from server.admission.level import ServiceLevel
from server.recommender import Recommender
from server.rpc import off_loop
from server.rpc.call import current_call
from server.rpc.check import RequestLimits
from server.rpc.entry_stream import current_stream
from server.rpc.page_token import page_release
from server.rpc.parse import parse_batch, parse_recommend
from server.rpc.parse_scene import asked_count, known_scene
from server.rpc.reply import entry_error, recommend_reply
from server.rpc.reply_size import ItemSizes, check_expected
from server.rpc.status import INTERNAL, CallStatus, status_of
from server.stages.release import ServingRelease
from server.trace import Trace
from server.trials.trial import LIVE_BUCKET, MOST_TRIALS
from server.trials.trials import Trials
from server.users.replies import RecentReplies
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1 import recommender_pb2_grpc as pb_grpc

# Entries of a batch under way at once: as many texts as a batch of the encoder has, so that others' are in the next.
_ENTRIES_AT_ONCE = 32


class RecommendObserver(Protocol):
    """Counter of answers."""

    def recommended(self, answer: Recommendation, total_s: float | None = None) -> None:
        """Counts one answer, made in so many seconds."""

    def entry_failed(self, error: Exception) -> None:
        """Counts an entry of a batch that failed for no reason of its caller."""


class AnswerListener(Protocol):
    """Receiver of answers of the live release, after they were made."""

    def offer(self, query: RecommendQuery, answer: Recommendation, live_s: float, level: ServiceLevel) -> None:
        """Takes an answer, made in so many seconds; must not wait or raise."""


class RecommendServicer(pb_grpc.RecommenderServiceServicer):
    """Servicer of Recommend and BatchRecommend."""

    def __init__(  # noqa: PLR0913 -- each is a part of the gateway
        self,
        recommender: Recommender,
        limits: RequestLimits,
        max_reply_bytes: int,
        observer: RecommendObserver,
        scenes: Scenes | None = NO_SCENES,
        *,
        replies: RecentReplies | None = None,
        trials: Trials | None = None,
        listeners: Sequence[AnswerListener] = (),
    ) -> None:
        self._recommender = recommender
        self._limits = limits
        self._max_reply_bytes = max_reply_bytes
        self._observer = observer
        self._scenes = scenes
        self._replies = replies or RecentReplies()
        self._trials = trials
        self._listeners = listeners
        self._sizes: dict[str, ItemSizes] = {}

    async def Recommend(  # noqa: D102 -- the contract's name and comment
        self, request: pb.RecommendRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecommendResponse:
        return await self.answer(request)

    async def answer(self, request: pb.RecommendRequest) -> pb.RecommendResponse:
        """Answers the call in progress.

        Raises:
            ShortlistError: it is refused, or cannot be answered.
        """
        return await self._recommend(request, current_call.get().started_s)

    async def BatchRecommend(  # noqa: D102
        self, request: pb.BatchRecommendRequest, context: grpc.aio.ServicerContext
    ) -> pb.BatchRecommendResponse:
        live = self._recommender.live()
        scenes = self._scenes_of(live)
        parse_batch(request, self._limits, scenes)
        sizes = await self._item_sizes(live)
        expected = sum(
            sizes.expected_bytes(entry, count)
            for entry in request.requests
            if 1 <= (count := asked_count(entry, self._limits, known_scene(entry, scenes))) <= self._limits.max_k
        )
        check_expected(expected, self._max_reply_bytes)
        turns = asyncio.Semaphore(_ENTRIES_AT_ONCE)
        entries = await asyncio.gather(*(self._entry(entry, turns) for entry in request.requests))
        return pb.BatchRecommendResponse(entries=entries)

    def RecommendStream(  # noqa: D102
        self, requests: AsyncIterator[pb.RecommendStreamRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.RecommendStreamResponse]:
        return current_stream.get().replies(requests, self._stream_entry, _stream_error)

    async def _stream_entry(self, entry: pb.RecommendStreamRequest) -> pb.RecommendStreamResponse:
        return pb.RecommendStreamResponse(response=await self._recommend(entry.request, time.monotonic()))

    async def _recommend(self, request: pb.RecommendRequest, since_s: float) -> pb.RecommendResponse:
        call = current_call.get()
        release, bucket = self._answering(request, call.request_id)
        types, scenes = release.catalogue.attribute_types, self._scenes_of(release)
        query = await off_loop.check(self._recommender.searchers, parse_recommend, request, self._limits, types, scenes)
        check_expected((await self._item_sizes(release)).expected_bytes(request, query.k), self._max_reply_bytes)
        trace = Trace()
        trace.record("parse", since_s, time.monotonic())
        answer = await self._recommender.recommend(
            query, call.deadline, trace, call.level, release, request_id=call.request_id
        )
        if bucket:
            answer = replace(answer, bucket=bucket)
        took_s = time.monotonic() - since_s
        self._observer.recommended(answer, took_s)
        if bucket in ("", LIVE_BUCKET):
            for listener in self._listeners:
                listener.offer(query, answer, took_s, call.level)
        if query.caller is not None and answer.items:
            sources = [item.provenance[0].source if item.provenance else "" for item in answer.items]
            self._replies.remember(call.request_id, answer.release_id, answer.items[0].rank, sources)
        searchers = self._recommender.searchers
        return await off_loop.build(searchers, recommend_reply, len(answer.items), answer, call, request)

    async def _item_sizes(self, release: ServingRelease) -> ItemSizes:
        """Returns the sizes of the release's items, measured with the first call."""
        sizes = self._sizes.get(release.release_id)
        if sizes is None:
            sizes = await asyncio.get_running_loop().run_in_executor(
                self._recommender.searchers, ItemSizes.of, release.catalogue
            )
            if len(self._sizes) > MOST_TRIALS:
                self._sizes.clear()
            self._sizes[release.release_id] = sizes
        return sizes

    def _scenes_of(self, release: ServingRelease) -> Scenes:
        return release.scenes if self._scenes is None else self._scenes

    def _answering(self, request: pb.RecommendRequest, request_id: str) -> tuple[ServingRelease, str]:
        """Returns the release that answers a request, and the bucket of its caller; empty while none are split."""
        live = self._recommender.live()
        if self._trials is None or not self._trials.running:
            return live, ""
        page_release_id = page_release(request.page_token)
        # A caller without an id is another one with each request.
        caller = request.user_id or request.session_id or request_id
        chosen, bucket = self._trials.answering(caller, page_release_id)
        return chosen or live, bucket

    async def _entry(self, request: pb.RecommendRequest, turns: asyncio.Semaphore) -> pb.BatchRecommendEntry:
        try:
            async with turns:
                return pb.BatchRecommendEntry(response=await self._recommend(request, time.monotonic()))
        except Exception as error:  # an entry's error never fails the others
            status = status_of(error)
            if status is None:
                self._observer.entry_failed(error)
            return pb.BatchRecommendEntry(error=entry_error(status or INTERNAL))


def _stream_error(status: CallStatus) -> pb.RecommendStreamResponse:
    return pb.RecommendStreamResponse(error=entry_error(status))
