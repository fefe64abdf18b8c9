"""RecommenderService: protobuf in, protobuf out, nothing else."""

import asyncio
import time
from typing import Protocol

import grpc

from domain.recommendation import Recommendation, RecommendQuery
from server.recommender import Recommender
from server.rpc.call import current_call
from server.rpc.parse import RequestLimits, parse_batch, parse_recommend
from server.rpc.reply import entry_error, recommend_reply
from server.rpc.status import INTERNAL, status_of
from server.stages.release import ServingRelease
from server.trace import Trace
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1 import recommender_pb2_grpc as pb_grpc

# A reply of more items than this is built in a worker thread: it would hold up the event loop.
_INLINE_ITEMS = 100
# Checking ten thousand ids takes ten milliseconds.
_INLINE_BYTES = 16_384


class RecommendObserver(Protocol):
    """Counter of answers."""

    def recommended(self, answer: Recommendation) -> None:
        """Counts one answer."""

    def entry_failed(self, error: Exception) -> None:
        """Counts an entry of a batch that failed for no reason of its caller."""


class RecommendServicer(pb_grpc.RecommenderServiceServicer):
    """Servicer of Recommend and BatchRecommend."""

    def __init__(self, recommender: Recommender, limits: RequestLimits, observer: RecommendObserver) -> None:
        self._recommender = recommender
        self._limits = limits
        self._observer = observer

    async def Recommend(  # noqa: D102 -- the contract's name and comment
        self, request: pb.RecommendRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecommendResponse:
        return await self._recommend(request, current_call.get().started_s)

    async def BatchRecommend(  # noqa: D102
        self, request: pb.BatchRecommendRequest, context: grpc.aio.ServicerContext
    ) -> pb.BatchRecommendResponse:
        parse_batch(request, self._limits)
        entries = await asyncio.gather(*(self._entry(entry) for entry in request.requests))
        return pb.BatchRecommendResponse(entries=entries)

    async def _recommend(self, request: pb.RecommendRequest, since_s: float) -> pb.RecommendResponse:
        call = current_call.get()
        release = self._recommender.live()
        query = await self._parse(request, release)
        trace = Trace()
        trace.record("parse", since_s, time.monotonic())
        answer = await self._recommender.recommend(query, call.deadline, trace)
        self._observer.recommended(answer)
        if len(answer.items) <= _INLINE_ITEMS:
            return recommend_reply(answer, call, request)
        return await asyncio.get_running_loop().run_in_executor(
            self._recommender.searchers, recommend_reply, answer, call, request
        )

    async def _parse(self, request: pb.RecommendRequest, release: ServingRelease) -> RecommendQuery:
        """Checks a request; a large one in a worker thread."""
        attribute_types = release.catalogue.attribute_types
        if request.ByteSize() <= _INLINE_BYTES:
            return parse_recommend(request, self._limits, attribute_types)
        return await asyncio.get_running_loop().run_in_executor(
            self._recommender.searchers, parse_recommend, request, self._limits, attribute_types
        )

    async def _entry(self, request: pb.RecommendRequest) -> pb.BatchRecommendEntry:
        try:
            return pb.BatchRecommendEntry(response=await self._recommend(request, time.monotonic()))
        except Exception as error:  # an entry's error never fails the others
            status = status_of(error)
            if status is None:
                self._observer.entry_failed(error)
            return pb.BatchRecommendEntry(error=entry_error(status or INTERNAL))
