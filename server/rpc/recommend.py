"""RecommenderService: protobuf in, protobuf out, nothing else."""

import asyncio
import time
from typing import Protocol

import grpc

from domain.recommendation import Recommendation
from server.recommender import Recommender
from server.rpc import off_loop
from server.rpc.call import current_call
from server.rpc.parse import RequestLimits, asked_count, parse_batch, parse_recommend
from server.rpc.reply import entry_error, recommend_reply
from server.rpc.reply_size import ItemSizes, check_expected
from server.rpc.status import INTERNAL, status_of
from server.stages.release import ServingRelease
from server.trace import Trace
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1 import recommender_pb2_grpc as pb_grpc

# Entries of a batch under way at once: as many texts as a batch of the encoder has, so that others' are in the next.
_ENTRIES_AT_ONCE = 32


class RecommendObserver(Protocol):
    """Counter of answers."""

    def recommended(self, answer: Recommendation) -> None:
        """Counts one answer."""

    def entry_failed(self, error: Exception) -> None:
        """Counts an entry of a batch that failed for no reason of its caller."""


class RecommendServicer(pb_grpc.RecommenderServiceServicer):
    """Servicer of Recommend and BatchRecommend."""

    def __init__(
        self, recommender: Recommender, limits: RequestLimits, max_reply_bytes: int, observer: RecommendObserver
    ) -> None:
        self._recommender = recommender
        self._limits = limits
        self._max_reply_bytes = max_reply_bytes
        self._observer = observer
        self._sizes: tuple[str, ItemSizes] | None = None

    async def Recommend(  # noqa: D102 -- the contract's name and comment
        self, request: pb.RecommendRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecommendResponse:
        return await self._recommend(request, current_call.get().started_s)

    async def BatchRecommend(  # noqa: D102
        self, request: pb.BatchRecommendRequest, context: grpc.aio.ServicerContext
    ) -> pb.BatchRecommendResponse:
        parse_batch(request, self._limits)
        sizes = await self._item_sizes(self._recommender.live())
        expected = sum(
            sizes.expected_bytes(entry, count)
            for entry in request.requests
            if 1 <= (count := asked_count(entry, self._limits)) <= self._limits.max_k
        )
        check_expected(expected, self._max_reply_bytes)
        turns = asyncio.Semaphore(_ENTRIES_AT_ONCE)
        entries = await asyncio.gather(*(self._entry(entry, turns) for entry in request.requests))
        return pb.BatchRecommendResponse(entries=entries)

    async def _recommend(self, request: pb.RecommendRequest, since_s: float) -> pb.RecommendResponse:
        call = current_call.get()
        release = self._recommender.live()
        searchers = self._recommender.searchers
        query = await off_loop.check(
            searchers, parse_recommend, request, self._limits, release.catalogue.attribute_types
        )
        check_expected((await self._item_sizes(release)).expected_bytes(request, query.k), self._max_reply_bytes)
        trace = Trace()
        trace.record("parse", since_s, time.monotonic())
        answer = await self._recommender.recommend(query, call.deadline, trace)
        self._observer.recommended(answer)
        return await off_loop.build(searchers, recommend_reply, len(answer.items), answer, call, request)

    async def _item_sizes(self, release: ServingRelease) -> ItemSizes:
        """Returns the sizes of the release's items, measured with the first call."""
        if self._sizes is None or self._sizes[0] != release.release_id:
            sizes = await asyncio.get_running_loop().run_in_executor(
                self._recommender.searchers, ItemSizes.of, release.catalogue
            )
            self._sizes = (release.release_id, sizes)
        return self._sizes[1]

    async def _entry(self, request: pb.RecommendRequest, turns: asyncio.Semaphore) -> pb.BatchRecommendEntry:
        try:
            async with turns:
                return pb.BatchRecommendEntry(response=await self._recommend(request, time.monotonic()))
        except Exception as error:  # an entry's error never fails the others
            status = status_of(error)
            if status is None:
                self._observer.entry_failed(error)
            return pb.BatchRecommendEntry(error=entry_error(status or INTERNAL))
