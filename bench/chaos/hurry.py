"""Row 20: calls with deadlines of 1 to 4 ms among normal ones."""

import asyncio
import contextlib
import random
import time

import grpc

from bench.chaos.figure import Figure
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub

_CHECK = "/grpc.health.v1.Health/Check"
_HURRYING = 4
_PAUSE_S = 0.01
_PARTS = 10
_NORMAL_CALLS = 30
_WORKING_S = 0.05


async def hurried(channel: grpc.aio.Channel, seed: int, count: int) -> list[Figure]:
    """Sends so many hurried calls; returns the figures of row 20.

    Normal calls alone, and normal calls among as many others that are given up after 50 ms rather than 4, take turns
    with those among hurried ones: each is compared with the same machine at the same time.
    """
    rng, sent = random.Random(seed), 0
    seconds: dict[str, list[float]] = {"alone": [], "patient": [], "hurried": []}
    while sent < count:
        for kind in ("alone", "patient", "hurried"):
            done = asyncio.Event()
            least = 0 if kind != "hurried" else count // _PARTS
            others = [] if kind == "alone" else [_others(channel, rng, done, least, kind) for _ in range(_HURRYING)]
            running = [asyncio.create_task(other) for other in others]
            seconds[kind] += await _normal(channel)
            done.set()
            numbers = await asyncio.gather(*running)
            sent += sum(numbers) if kind == "hurried" else 0
    alive = 0.0
    with contextlib.suppress(grpc.aio.AioRpcError):
        await channel.unary_unary(_CHECK)(b"", timeout=10)
        alive = 1.0
    p99 = {kind: sorted(taken)[int(0.99 * len(taken))] for kind, taken in seconds.items()}
    over_patient, over_alone = p99["hurried"] / p99["patient"], p99["hurried"] / p99["alone"]
    return [
        Figure(20, "calls of 1 to 4 ms", sent, least=count),
        Figure(20, "p99 of normal calls among them, over that among given-up ones", over_patient, most=1.2),
        Figure(20, "p99 of normal calls among them, over that alone", over_alone),
        Figure(20, "health after them answers (1) or not (0)", alive, least=1),
    ]


async def _others(channel: grpc.aio.Channel, rng: random.Random, done: asyncio.Event, least: int, kind: str) -> int:
    stub, count = RecommenderServiceStub(channel), 0
    while not done.is_set() or count * _HURRYING < least:
        count += 1
        timeout_s = rng.uniform(0.001, 0.004) if kind == "hurried" else _WORKING_S
        with contextlib.suppress(grpc.aio.AioRpcError):
            await stub.Recommend(pb.RecommendRequest(text=f"hurried {rng.random()}"), timeout=timeout_s)
        await asyncio.sleep(_PAUSE_S)
    return count


async def _normal(channel: grpc.aio.Channel) -> list[float]:
    stub, taken = RecommenderServiceStub(channel), []
    for number in range(_NORMAL_CALLS):
        started_s = time.monotonic()
        await stub.Recommend(pb.RecommendRequest(text=f"tea number {number}"), timeout=10)
        taken.append(time.monotonic() - started_s)
    return taken
