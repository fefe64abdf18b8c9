"""Batcher of texts of many callers for Triton: by length bucket, earliest deadline first, without waiting.

    encode(texts) -> heap of its length bucket -> (a slot is free) -> batch -> Triton -> each caller's future

No delay is added: while the slots are busy texts gather, and the next free slot takes what has gathered.
"""

import asyncio
import heapq
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from core.text.tokenize import pad
from domain.errors import DeadlineExceeded, EncoderUnavailable, Overloaded, ShortlistError
from server.deadline import Deadline


class EncodeBatch(Protocol):
    """The call to Triton."""

    async def __call__(self, input_ids: np.ndarray, attention_mask: np.ndarray, timeout_s: float) -> np.ndarray:
        """Encodes int64[B, L] token ids into float32[B, d] unit vectors."""


class BatchObserver(Protocol):
    """Counter of batches."""

    def batch_sent(self, text_count: int, real_token_count: int, padded_token_count: int) -> None:
        """Counts one batch."""


@dataclass(frozen=True)
class BatchLimits:
    """Limits of batches and of the queue.

    Attributes:
        buckets: padded lengths in tokens, ascending.
        pad_token_id: fills short texts.
        max_texts: most texts in one batch.
        max_padded_tokens: most texts times padded length in one batch; a single text always fits.
        max_waiting_texts: beyond this many waiting texts a new one is refused.
        in_flight: batches sent at the same time.
    """

    buckets: tuple[int, ...]
    pad_token_id: int
    max_texts: int = 32
    max_padded_tokens: int = 4096
    max_waiting_texts: int = 2048
    in_flight: int = 2


@dataclass(frozen=True)
class EncodedText:
    """One text's vector, with its times on the event loop's clock in seconds.

    Attributes:
        vector: float32[d], unit.
        queued_s: when it began to wait for a batch.
        sent_s: when its batch was sent to Triton.
        answered_s: when Triton answered.
    """

    vector: np.ndarray
    queued_s: float
    sent_s: float
    answered_s: float


@dataclass(order=True)
class _Waiting:
    deadline: Deadline
    number: int
    ids: np.ndarray = field(compare=False)
    queued_s: float = field(compare=False)
    answer: "asyncio.Future[EncodedText]" = field(compare=False)


class Batcher:
    """The queue in front of one encoder on Triton. Belongs to one event loop."""

    def __init__(self, encode: EncodeBatch, limits: BatchLimits, observer: BatchObserver) -> None:
        self._encode = encode
        self._limits = limits
        self._observer = observer
        self._heaps: list[list[_Waiting]] = [[] for _ in limits.buckets]
        self._waiting_count = 0
        self._numbers = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._dispatch_planned = False
        self._suspended: ShortlistError | None = None
        self._closed = False

    async def encode(self, texts: Sequence[np.ndarray], deadline: Deadline) -> list[EncodedText]:
        """Returns the vectors of some texts, all or none.

        Args:
            texts: int64[L_i] token ids, L_i at most the last bucket.
            deadline: texts that were not sent are dropped once this has passed.

        Raises:
            Overloaded: too many texts wait.
            DeadlineExceeded: no answer in time.
            EncoderUnavailable: Triton failed, or the batcher was closed.
        """
        if self._closed:
            raise EncoderUnavailable("the gateway is stopping")
        if self._suspended is not None:
            raise EncoderUnavailable(str(self._suspended))
        if self._waiting_count + len(texts) > self._limits.max_waiting_texts:
            self._forget_gone()
        if self._waiting_count + len(texts) > self._limits.max_waiting_texts:
            raise Overloaded(f"{self._waiting_count} texts wait for the encoder already; try again later")
        answers = [self._enqueue(ids, deadline) for ids in texts]
        self._plan_dispatch()
        try:
            async with asyncio.timeout_at(deadline.at_s):
                return await asyncio.gather(*answers)
        except TimeoutError as error:
            raise DeadlineExceeded("the encoder did not answer within the deadline") from error
        finally:
            for answer in answers:
                answer.cancel()

    def _enqueue(self, ids: np.ndarray, deadline: Deadline) -> "asyncio.Future[EncodedText]":
        loop = asyncio.get_running_loop()
        text = _Waiting(deadline, self._numbers, ids, loop.time(), loop.create_future())
        self._numbers += 1
        heapq.heappush(self._heaps[bisect_left(self._limits.buckets, len(ids))], text)
        self._waiting_count += 1
        return text.answer

    def suspend(self, reason: ShortlistError) -> None:
        """Refuses texts at once, for this reason, until `resume`."""
        self._suspended = reason

    def resume(self) -> None:
        """Takes texts again."""
        self._suspended = None

    async def aclose(self) -> None:
        """Fails what waits and lets what was sent finish."""
        self._closed = True
        for heap in self._heaps:
            for text in heap:
                _fail(text, EncoderUnavailable("the gateway is stopping"))
            heap.clear()
        self._waiting_count = 0
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _plan_dispatch(self) -> None:
        # Once per turn of the loop, so that all texts of one request go together.
        if not self._dispatch_planned:
            self._dispatch_planned = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_planned = False
        while len(self._calls) < self._limits.in_flight:
            batch, bucket = self._take()
            if not batch:
                return
            call = asyncio.get_running_loop().create_task(self._send(batch, bucket))
            self._calls.add(call)
            call.add_done_callback(self._finished)
            _end_with_callers(call, batch)

    def _finished(self, call: "asyncio.Task[None]") -> None:
        self._calls.discard(call)
        self._dispatch()

    def _take(self) -> tuple[list[_Waiting], int]:
        """Takes the next batch: from the bucket whose most urgent text is the most urgent of all."""
        for heap in self._heaps:
            self._drop_gone(heap)
        urgent = min((heap for heap in self._heaps if heap), key=lambda heap: heap[0], default=None)
        if urgent is None:
            return [], 0
        bucket = self._limits.buckets[next(place for place, heap in enumerate(self._heaps) if heap is urgent)]
        most = max(1, min(self._limits.max_texts, self._limits.max_padded_tokens // bucket))
        batch: list[_Waiting] = []
        while urgent and len(batch) < most:
            text = heapq.heappop(urgent)
            self._waiting_count -= 1
            if not text.answer.done():
                batch.append(text)
        return batch, bucket

    def _forget_gone(self) -> None:
        """Makes room: behind a slow call texts of callers that left would otherwise keep new ones out."""
        for heap in self._heaps:
            heap[:] = [text for text in heap if not text.answer.done()]
            heapq.heapify(heap)
        self._waiting_count = sum(len(heap) for heap in self._heaps)

    def _drop_gone(self, heap: list[_Waiting]) -> None:
        """Drops the texts at the front whose caller left or ran out of time."""
        now = asyncio.get_running_loop().time()
        while heap and (heap[0].answer.done() or heap[0].deadline.at_s <= now):
            _fail(heapq.heappop(heap), DeadlineExceeded("the deadline passed while the text waited for the encoder"))
            self._waiting_count -= 1

    async def _send(self, batch: Sequence[_Waiting], bucket: int) -> None:
        loop = asyncio.get_running_loop()
        sent_s = loop.time()
        input_ids, attention_mask = pad([text.ids for text in batch], bucket, self._limits.pad_token_id)
        self._observer.batch_sent(len(batch), int(attention_mask.sum()), attention_mask.size)
        # The batch may run as long as its most patient caller waits; the others leave by themselves.
        timeout_s = max(text.deadline.at_s for text in batch) - sent_s
        try:
            vectors = await self._encode(input_ids, attention_mask, timeout_s)
            if len(vectors) != len(batch):
                raise EncoderUnavailable(f"Triton answered {len(vectors)} vectors for {len(batch)} texts")
        except asyncio.CancelledError:
            for text in batch:
                _fail(text, EncoderUnavailable("the gateway is stopping"))
            raise
        except Exception as error:  # every caller must get it, or would wait for its deadline
            for text in batch:
                _fail(text, error)
            return
        answered_s = loop.time()
        for text, vector in zip(batch, vectors, strict=True):
            if not text.answer.done():
                text.answer.set_result(EncodedText(vector, text.queued_s, sent_s, answered_s))


def _end_with_callers(call: "asyncio.Task[None]", batch: Sequence[_Waiting]) -> None:
    """Cancels a call once nobody waits for it any more: a stuck one must not keep its slot."""
    waiting = len(batch)

    def text_done(_: "asyncio.Future[EncodedText]") -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            call.cancel()

    for text in batch:
        text.answer.add_done_callback(text_done)


def _fail(text: _Waiting, error: Exception) -> None:
    if not text.answer.done():
        text.answer.set_exception(error)
        # Retrieved here too: a caller that left never awaits it, and asyncio would log that.
        text.answer.exception()
