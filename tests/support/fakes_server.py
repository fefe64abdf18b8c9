"""Stand-ins for the gateway's neighbours: encoder and servicer that do what they are told, observers, a manifest."""

import asyncio

import numpy as np

from domain.item import AttributeType
from domain.manifest import (
    SCHEMA_VERSION,
    EncoderEntry,
    FileEntry,
    GraphEntry,
    Manifest,
    TextEntry,
)
from domain.text import TextTemplate
from shortlist.v1 import recommender_pb2_grpc

MANIFEST = Manifest(
    schema_version=SCHEMA_VERSION,
    release_id="r1",
    created="2026-01-01T00:00:00+00:00",
    item_count=3,
    available_count=2,
    dimension=4,
    encoder=EncoderEntry("tiny", "0" * 64, "encoder", "models/encoder.onnx", 32, 8, 0, 1.0),
    graph=GraphEntry(16, 200, 256, 1.0, 3),
    text=TextEntry(0.0, 0, 0, 0, 0),
    template=TextTemplate(),
    attribute_types={"price": AttributeType.NUMBER},
    files={"items.jsonl": FileEntry("0" * 64, 1)},
    quality={"recall": 1.0},
    parents=(),
    built_with={"numpy": "2"},
)


def vector_of(ids):
    """The vector that FakeEncoder gives one row: it tells rows, orders and lengths apart, and no padding enters."""
    ids = np.asarray(ids, dtype=np.float64)
    return np.array([ids.sum(), (ids * np.arange(1, len(ids) + 1)).sum(), len(ids)])


class FakeEncoder:
    """EncodeBatch: answers `vector_of` each row and notes every batch.

    While `open` is clear, calls wait; `called` counts those that began. `fail` is raised, `extra_rows` added.
    """

    def __init__(self):
        self.batches = []
        self.timeouts_s = []
        self.open = asyncio.Event()
        self.open.set()
        self.fail = None
        self.extra_rows = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self._began = asyncio.Condition()

    async def __call__(self, input_ids, attention_mask, timeout_s):
        self.batches.append((input_ids, attention_mask))
        self.timeouts_s.append(timeout_s)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        async with self._began:
            self._began.notify_all()
        try:
            await self.open.wait()
        finally:
            self.in_flight -= 1
        if self.fail is not None:
            raise self.fail
        rows = [vector_of(ids[mask == 1]) for ids, mask in zip(input_ids, attention_mask, strict=True)]
        rows += [rows[0]] * self.extra_rows
        return np.stack(rows[: len(input_ids) + self.extra_rows])

    async def wait_for_calls(self, count):
        async with self._began:
            await self._began.wait_for(lambda: len(self.batches) >= count)

    @property
    def rows(self):
        """Every row that was sent, in the order of sending."""
        return [ids[mask == 1].tolist() for batch in self.batches for ids, mask in zip(*batch, strict=True)]


class FakeTriton:
    """ModelServer that answers every inference with `answer`, an array or an error.

    `calls` has what it was asked to do, without the inferences; `batches` the inputs of these. Errors in `errors` are
    raised first, one an inference. `ready` are the versions that others have loaded.
    """

    def __init__(self, answer):
        self.answer = answer
        self.errors = []
        self.calls = []
        self.configs = []
        self.batches = []
        self.ready = ()
        self.live = True

    async def infer(self, model, version, inputs, *, output, timeout_s):
        self.batches.append(inputs)
        if self.errors:
            raise self.errors.pop(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def load(self, model, config_text, versions, timeout_s):
        self.calls.append(("load", *versions))
        self.configs.append(config_text)

    async def unload(self, model):
        self.calls.append(("unload",))

    async def ready_versions(self, model):
        return self.ready

    async def wait_until_live(self, timeout_s):
        self.calls.append(("wait",))

    async def is_live(self):
        return self.live


class NotedBatches:
    """BatchObserver that keeps what it was told."""

    def __init__(self):
        self.sent = []
        self.waits_s = []
        self.shared = 0

    def batch_sent(self, text_count, real_token_count, padded_token_count, oldest_wait_s):
        self.sent.append((text_count, real_token_count, padded_token_count))
        self.waits_s.append(oldest_wait_s)

    def text_shared(self):
        self.shared += 1


class NotedCalls:
    """CallObserver that keeps (method, code) of each call, in the order in which they ended."""

    def __init__(self):
        self._ended = asyncio.Queue()

    def call_ended(self, method, code, seconds):
        assert seconds >= 0
        self._ended.put_nowait((method, code))

    async def next(self):
        return await asyncio.wait_for(self._ended.get(), 10)


class ToldServicer(recommender_pb2_grpc.RecommenderServiceServicer):
    """Answers Recommend with what the coroutine function `answer` returns for the request."""

    def __init__(self, answer):
        self._answer = answer

    async def Recommend(self, request, context):
        return await self._answer(request)
