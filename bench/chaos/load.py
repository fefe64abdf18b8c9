"""Open-loop load with classes of importance: every call is drawn before the first is sent."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
import numpy as np

from shortlist.channel import open_async_channel
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub

WORDS = [
    "quiet",
    "film",
    "sea",
    "old",
    "friends",
    "winter",
    "garden",
    "small",
    "town",
    "letter",
    "music",
    "train",
    "mother",
    "island",
    "rain",
    "detective",
]


@dataclass(frozen=True, slots=True)
class Sent:
    """One call.

    Attributes:
        at_s: when it was sent, since the start.
        seconds: until its outcome.
        code: of its status.
        reasons: its degradations.
        criticality: its class.
    """

    at_s: float
    seconds: float
    code: str
    reasons: tuple[int, ...]
    criticality: str

    @property
    def full(self) -> bool:
        """True for an answer without the service's own degradations."""
        return self.code == "OK" and not set(self.reasons) & _OURS


_OURS = {
    pb.DEGRADATION_REASON_OVERLOADED,
    pb.DEGRADATION_REASON_ENCODER_UNAVAILABLE,
    pb.DEGRADATION_REASON_RANKER_UNAVAILABLE,
}


@dataclass
class Load:
    """Load on an address.

    Attributes:
        address: of the gateway, or of several.
        seed: of times and texts.
        deadline_s: of each call.
        word_count: of each text: 120 make about 128 tokens, so that the encoder bounds the capacity.
        classes: drawn from for each call.
    """

    address: str
    seed: int = 0
    deadline_s: float = 1.0
    word_count: int = 110
    classes: Sequence[str] = ("default",)
    sent: list[Sent] = field(default_factory=list)

    async def run(self, rate: float, seconds: float) -> list[Sent]:
        """Sends Poisson arrivals of so many calls a second for so long; returns every call."""
        rng = np.random.default_rng(self.seed)
        offsets = np.cumsum(rng.exponential(1 / rate, int(rate * seconds * 1.3) + 20))
        offsets = offsets[offsets < seconds]
        texts = [" ".join(rng.choice(WORDS, self.word_count)) for _ in range(64)]
        kinds = rng.choice(list(self.classes), len(offsets))
        channels = [
            open_async_channel(self.address, None, extra_options=(("grpc.use_local_subchannel_pool", 1),))
            for _ in range(2)
        ]
        stubs = [RecommenderServiceStub(channel) for channel in channels]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        self.sent, started_s, calls = [], time.monotonic(), set()
        for number, offset in enumerate(offsets):
            await asyncio.sleep(max(0.0, started_s + offset - time.monotonic()))
            call = self._call(stubs[number % 2], texts[number % 64], str(kinds[number]), started_s)
            calls.add(task := asyncio.create_task(call))
            task.add_done_callback(calls.discard)
        await asyncio.gather(*calls)
        for channel in channels:
            await channel.close()
        return self.sent

    async def closed(self, callers: int, seconds: float) -> float:
        """Returns the answers a second that so many callers get, each sending when its last one is answered."""
        channel = open_async_channel(self.address, None)
        stub, ends_s, count = RecommenderServiceStub(channel), time.monotonic() + seconds, 0
        text = " ".join(WORDS[number % len(WORDS)] for number in range(self.word_count))

        async def caller(number: int) -> None:
            nonlocal count
            while time.monotonic() < ends_s:
                request = pb.RecommendRequest(text=f"{number} {count} {text}")
                try:
                    await stub.Recommend(request, timeout=10)
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
                else:
                    count += 1

        started_s = time.monotonic()
        await asyncio.gather(*(caller(number) for number in range(callers)))
        await channel.close()
        return count / (time.monotonic() - started_s)

    async def _call(self, stub: RecommenderServiceStub, text: str, criticality: str, started_s: float) -> None:
        sent_s = time.monotonic()
        metadata = (("x-criticality", criticality),)
        try:
            request = pb.RecommendRequest(text=f"{len(self.sent)} {text}")
            reply = await stub.Recommend(request, timeout=self.deadline_s, metadata=metadata)
            code, reasons = "OK", tuple(one.reason for one in reply.degradations)
        except grpc.aio.AioRpcError as error:
            code, reasons = error.code().name, ()
        now_s = time.monotonic()
        self.sent.append(Sent(sent_s - started_s, now_s - sent_s, code, reasons, criticality))
