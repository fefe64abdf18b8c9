"""RankerService: protobuf in, protobuf out, nothing else."""

import time

import grpc

from domain.text_ranking import TextRanking
from server.rpc import off_loop
from server.rpc.call import Call, current_call
from server.rpc.check import RequestLimits
from server.rpc.parse_rank import parse_rank
from server.rpc.reply import degradation_messages, stage_times
from server.text_ranking import TextRanker
from server.trace import Trace
from shortlist.v1 import ranker_pb2 as pb
from shortlist.v1 import ranker_pb2_grpc as pb_grpc


class RankServicer(pb_grpc.RankerServiceServicer):
    """Servicer of Rank."""

    def __init__(self, ranker: TextRanker, limits: RequestLimits) -> None:
        self._ranker = ranker
        self._limits = limits

    async def Rank(  # noqa: D102 -- the contract's name and comment
        self, request: pb.RankRequest, context: grpc.aio.ServicerContext
    ) -> pb.RankResponse:
        call = current_call.get()
        query = await off_loop.check(self._ranker.searchers, parse_rank, request, self._limits)
        trace = Trace()
        trace.record("parse", call.started_s, time.monotonic())
        answer = await self._ranker.rank(query, call.deadline, trace)
        count = len(answer.results)
        return await off_loop.build(self._ranker.searchers, _reply, count, answer, query.ids, trace, call)


def _reply(answer: TextRanking, ids: tuple[str, ...], trace: Trace, call: Call) -> pb.RankResponse:
    return pb.RankResponse(
        results=[
            pb.RankedCandidate(
                index=result.index,
                id=ids[result.index],
                rank=place,
                score=result.score,
                similarity=result.similarity,
                relevance=result.relevance,
                choice_probability=result.choice_probability,
                matched_terms=result.matched_terms,
            )
            for place, result in enumerate(answer.results, start=1)
        ],
        release_id=answer.release_id,
        stage_times=stage_times(trace.times(), call),
        degradations=degradation_messages(answer.degradations),
        unknown_item_ids=answer.unknown_item_ids,
        request_id=call.request_id,
    )
