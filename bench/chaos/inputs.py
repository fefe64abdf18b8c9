"""Rows 12, 13, 20 and 25: wrong, mutated, silent and hurried callers get a typed status and hurt nobody."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import grpc

from bench.chaos.figure import Figure
from bench.chaos.hurry import hurried
from bench.chaos.mutations import Target, mutations, status_of
from shortlist.v1 import event_pb2, filter_pb2
from shortlist.v1 import recommender_pb2 as pb

_RECOMMEND = "/shortlist.v1.RecommenderService/Recommend"
_WRONG = (
    *(pb.RecommendRequest(text="tea", k=k) for k in (0, -1, 1_001, 10**6, 2**31 - 1)),
    *(pb.RecommendRequest(text=text) for text in ("", " \t", "a\0b", "x" * 1_000_000)),
    pb.RecommendRequest(text="tea", min_relevance=float("nan")),
    pb.RecommendRequest(text="tea", personalization=float("inf")),
    pb.RecommendRequest(events=[event_pb2.Event(item_id="x", kind=99)]),  # type: ignore[arg-type]
    pb.RecommendRequest(text="tea", conditions=[filter_pb2.AttributeCondition(attribute="price")]),
    pb.RecommendRequest(text="tea", item_mask={"paths": ["nothing"]}),
)


@dataclass(frozen=True)
class InputPlan:
    """Amount that is sent.

    Attributes:
        mutation_count: mutated messages.
        hurried_count: calls with deadlines of 1 to 4 ms.
        writes: whether methods that change something get messages too.
    """

    mutation_count: int
    hurried_count: int
    writes: bool = True


def inputs(address: str, seed: int, plan: InputPlan) -> Iterator[Figure]:
    """Yields the figures of the rows."""
    yield from asyncio.run(_all(address, seed, plan))


async def _all(address: str, seed: int, plan: InputPlan) -> list[Figure]:
    async with grpc.aio.insecure_channel(address) as channel:
        raws = [request.SerializeToString() for request in _WRONG]
        wrong = Counter([await status_of(channel, Target(_RECOMMEND, False, raw), raw) for raw in raws])
        expected = sum(count for code, count in wrong.items() if code == "INVALID_ARGUMENT")
        figures = [Figure(12, f"of {len(_WRONG)} wrong requests answered otherwise", len(_WRONG) - expected, most=0)]
        figures += await mutations(channel, seed, plan.mutation_count, writes=plan.writes)
        figures += await hurried(channel, seed, plan.hurried_count)
        started_s = time.monotonic()
        code = await _silent(channel)
        figures.append(Figure(25, "a silent call ends, s", time.monotonic() - started_s, most=2.0))
        figures.append(Figure(25, "with DEADLINE_EXCEEDED (1) or not (0)", code == "DEADLINE_EXCEEDED", least=1))
        return figures


async def _silent(channel: grpc.aio.Channel) -> str:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.sleep(30)
        yield b""

    call = channel.stream_unary(_RECOMMEND)(nothing())
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"
