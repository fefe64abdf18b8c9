"""A gateway's edge over an engine that batches and sleeps, on a thread of its own: overload without processor time."""

import asyncio
from dataclasses import dataclass, field
from statistics import mean

import grpc
import numpy as np

from domain.errors import DeadlineExceeded, EncoderUnavailable
from server.admission.admission import Admission, SilentAdmission
from server.admission.level import ServiceLevel
from server.admission.limit import LimitSettings
from server.admission.quota import Quota
from server.models.batcher import Batcher, BatchLimits
from server.rpc.call import current_call
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceServicer, add_RecommenderServiceServicer_to_server
from tests.support.echo_server import _in_thread
from tests.support.fakes_server import NotedBatches

TEXTS = 8
_PERIOD_S = 0.01


@dataclass
class Engine:
    """A batch of at most eight texts takes `batch_s`; one at a time.

    Attributes:
        batch_s: seconds.
        ended: (method, code, seconds) of every call, as the gateway's metrics get them.
        took_s: what the batches took in fact: a sleeping thread wakes late where others use the processor.
        late_s: how late timers of the gateway's event loop ran, which nothing in a call can be quicker than.
    """

    batch_s: float = 0.1
    ended: list = field(default_factory=list)
    took_s: list = field(default_factory=list)
    late_s: list = field(default_factory=list)

    @property
    def capacity(self):
        return TEXTS / self.batch_s

    @property
    def capacity_now(self):
        """Texts a second, by what the batches took."""
        return TEXTS / mean(self.took_s)

    def forget(self):
        """Forgets what was noted."""
        for notes in (self.ended, self.took_s, self.late_s):
            notes.clear()

    async def watch_loop(self):
        """Notes how late timers run."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + _PERIOD_S
            await asyncio.sleep(_PERIOD_S)
            self.late_s.append(loop.time() - due_s)

    def call_ended(self, method, code, seconds):
        self.ended.append((method, code, seconds))


class _Servicer(RecommenderServiceServicer):
    def __init__(self, engine):
        async def encode(input_ids, attention_mask, timeout_s):
            started_s = asyncio.get_running_loop().time()
            await asyncio.sleep(engine.batch_s)
            engine.took_s.append(asyncio.get_running_loop().time() - started_s)
            return np.ones((len(input_ids), 2), np.float32)

        limits = BatchLimits(buckets=(8,), pad_token_id=0, max_texts=TEXTS, in_flight=1)
        self._count = 0
        self._batcher = Batcher(encode, limits, NotedBatches())

    async def Recommend(self, request, context):
        call = current_call.get()
        reply = pb.RecommendResponse(release_id="r")
        if call.level is ServiceLevel.WORDS_ONLY:
            reply.degradations.add(reason=pb.DEGRADATION_REASON_OVERLOADED)
            return reply
        try:
            self._count += 1  # equal texts on their way are computed once
            await self._batcher.encode([np.full(4, self._count, np.int64)], call.deadline.before_fallback())
        except (DeadlineExceeded, EncoderUnavailable):
            reply.degradations.add(reason=pb.DEGRADATION_REASON_ENCODER_UNAVAILABLE)
        return reply


def slow_gateway(engine, *, with_admission=True):
    """Runs it; yields its address."""

    async def start():
        admission = Admission(LimitSettings(), Quota(0, 1), SilentAdmission()) if with_admission else None
        interceptor = CallInterceptor(DeadlineLimits(1.0, 60.0), 10_000, 4_000_000, engine, admission)
        server = grpc.aio.server(interceptors=[interceptor])
        add_RecommenderServiceServicer_to_server(_Servicer(engine), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        watching = asyncio.create_task(engine.watch_loop())

        async def stop():
            watching.cancel()
            await server.stop(0)

        return f"127.0.0.1:{port}", stop

    return _in_thread(start)
