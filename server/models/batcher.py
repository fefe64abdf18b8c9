"""Batcher of texts of many callers for Triton: the most urgent first, with those whose lengths suit it.

    encode(texts) -> TextQueue -> (a place is free) -> batch -> Triton -> each caller's future

While the places are busy texts gather, and the next free place takes what has gathered. The last free place waits for
a moment where that saves more waiting than it costs (`batch_timing`).
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np

from core.text.tokenize import pad
from domain.errors import DeadlineExceeded, EncoderUnavailable, Overloaded, ShortlistError
from server.deadline import Deadline
from server.models.batch_timing import ArrivalRate, BatchCost, worthwhile_wait_s
from server.models.text_queue import BatchLimits, Caller, EncodedText, TextQueue, WaitingText

_STOPPING = "the gateway is stopping"


class EncodeBatch(Protocol):
    """The call to Triton."""

    async def __call__(self, input_ids: np.ndarray, attention_mask: np.ndarray, timeout_s: float) -> np.ndarray:
        """Encodes int64[B, L] token ids into float32[B, d] unit vectors."""


class BatchObserver(Protocol):
    """Counter of batches."""

    def batch_sent(self, text_count: int, real_token_count: int, padded_token_count: int, oldest_wait_s: float) -> None:
        """Counts one batch; `oldest_wait_s` is how long its longest waiting caller has waited, seconds."""

    def text_shared(self) -> None:
        """Counts a text that joined an equal one."""


class Batcher:
    """The queue in front of one encoder on Triton. Belongs to one event loop."""

    def __init__(self, encode: EncodeBatch, limits: BatchLimits, observer: BatchObserver) -> None:
        self._encode = encode
        self._limits = limits
        self._observer = observer
        self._queue = TextQueue(limits)
        self._pending: dict[bytes, WaitingText] = {}
        self._cost = BatchCost()
        self._arrivals = ArrivalRate()
        self._calls: set[asyncio.Task[None]] = set()
        self._planned = False
        self._waited = False
        self._timer: asyncio.TimerHandle | None = None
        self._suspended: ShortlistError | None = None
        self._closed = False

    @property
    def waiting_count(self) -> int:
        """Texts that wait for a batch."""
        return len(self._queue)

    def oldest_wait_s(self) -> float:
        """Returns how long the text that waits longest has waited, seconds; 0 where none does."""
        now_s = asyncio.get_running_loop().time()
        return max((now_s - text.callers[0].queued_s for text in self._queue), default=0.0)

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
            raise EncoderUnavailable(_STOPPING)
        if self._suspended is not None:
            raise EncoderUnavailable(str(self._suspended))
        if len(self._queue) + len(texts) > self._limits.max_waiting_texts:
            self._drop_gone()
        if len(self._queue) + len(texts) > self._limits.max_waiting_texts:
            raise Overloaded(f"{len(self._queue)} texts wait for the encoder already; try again later")
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

    def suspend(self, reason: ShortlistError) -> None:
        """Refuses texts at once, for this reason, until `resume`."""
        self._suspended = reason

    def resume(self) -> None:
        """Takes texts again."""
        self._suspended = None

    async def aclose(self) -> None:
        """Fails what waits and lets what was sent finish."""
        self._closed = True
        self._end_wait()
        for text in self._queue.clear():
            self._forget(text)
            text.fail(EncoderUnavailable(_STOPPING))
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _enqueue(self, ids: np.ndarray, deadline: Deadline) -> "asyncio.Future[EncodedText]":
        loop = asyncio.get_running_loop()
        caller = Caller(deadline, loop.time(), loop.create_future())
        key = ids.tobytes()
        text = self._pending.get(key) if self._limits.share_equal else None
        # A call that may end before this caller's deadline could fail it too early.
        if text is not None and text.is_wanted and deadline.at_s <= text.answer_by_s:
            self._queue.join(text, caller)
            self._observer.text_shared()
        else:
            self._arrivals.arrived(caller.queued_s)
            text = self._pending[key] = self._queue.new(ids, caller)
        caller.answer.add_done_callback(lambda _: self._caller_gone(text))
        return caller.answer

    def _caller_gone(self, text: WaitingText) -> None:
        """Cancels a call once nobody waits for any of its texts: a stuck one must not keep its place."""
        call = text.call
        if call is None or call.done() or text.is_wanted:
            return
        if not any(mate.is_wanted for mate in text.mates):
            call.cancel()

    def _forget(self, text: WaitingText) -> None:
        key = text.ids.tobytes()
        if self._pending.get(key) is text:
            del self._pending[key]

    def _drop_gone(self) -> None:
        for text in self._queue.drop_gone(asyncio.get_running_loop().time()):
            self._forget(text)

    def _plan_dispatch(self) -> None:
        # Once per turn of the loop, so that all texts of one request go together.
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._planned = False
        while len(self._calls) < self._limits.in_flight:
            self._drop_gone()
            if not len(self._queue):
                self._end_wait()
                return
            if self._waits():
                return
            self._end_wait()
            batch, length = self._queue.take(self._cost.fixed_tokens)
            # The call may run as long as its most patient caller waits; the others leave by themselves.
            answer_by_s = max(text.last_deadline_s for text in batch)
            call = asyncio.get_running_loop().create_task(self._send(batch, length, answer_by_s))
            self._calls.add(call)
            call.add_done_callback(partial(self._finished, batch))
            for text in batch:
                text.call, text.mates, text.answer_by_s = call, batch, answer_by_s

    def _waits(self) -> bool:
        """Returns whether the last free place waits for more texts; a timer ends that."""
        is_last_place = len(self._calls) == self._limits.in_flight - 1
        if self._waited or not is_last_place or len(self._queue) >= self._limits.max_texts:
            return False
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        batch_s = self._cost.seconds(sum(text.bucket for text in self._queue))
        wait_s = worthwhile_wait_s(len(self._queue), self._arrivals.rate(now_s), batch_s)
        urgent_s = min(text.urgency_s for text in self._queue) - now_s
        if wait_s <= 0 or urgent_s < wait_s + 2 * batch_s:
            return False
        if self._timer is None:
            self._timer = loop.call_later(wait_s, self._wait_over)
        return True

    def _wait_over(self) -> None:
        self._waited = True
        self._dispatch()

    def _end_wait(self) -> None:
        self._waited = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _finished(self, batch: Sequence[WaitingText], call: "asyncio.Task[None]") -> None:
        self._calls.discard(call)
        for text in batch:
            self._forget(text)
            text.fail(EncoderUnavailable(_STOPPING))  # nothing where it was answered
        self._dispatch()

    async def _send(self, batch: Sequence[WaitingText], length: int, answer_by_s: float) -> None:
        loop = asyncio.get_running_loop()
        sent_s = loop.time()
        input_ids, attention_mask = pad([text.ids for text in batch], length, self._limits.pad_token_id)
        oldest_wait_s = sent_s - min(text.callers[0].queued_s for text in batch)
        real_tokens = sum(len(text.ids) for text in batch)
        self._observer.batch_sent(len(batch), real_tokens, input_ids.size, oldest_wait_s)
        try:
            vectors = await self._encode(input_ids, attention_mask, answer_by_s - sent_s)
            if len(vectors) != len(batch):
                raise EncoderUnavailable(f"Triton answered {len(vectors)} vectors for {len(batch)} texts")
        except Exception as error:  # every caller must get it, or would wait for its deadline
            for text in batch:
                text.fail(error)
            return
        answered_s = loop.time()
        self._cost.learn(input_ids.size, answered_s - sent_s)
        for text, vector in zip(batch, vectors, strict=True):
            self._forget(text)  # what comes from now on is not answered by this call
            text.answer(vector, sent_s, answered_s)
