"""Queue of texts that wait for the encoder: which of them make the next batch.

The batch always holds the most urgent text. Around it come those whose lengths make the cost of a token smallest: a
batch costs a fixed part plus its padded tokens, so texts of like lengths go together while many wait, and those of
other lengths join while few do. Equal texts wait once.
"""

import asyncio
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.errors import DeadlineExceeded
from server.deadline import Deadline

# Batches of more than a few texts are padding for at most this share. Where a batch's fixed cost is high that costs up
# to 3 % at 32 waiting texts; without it padding would depend on what was measured of the engine.
_MOST_PADDING = 0.1
_FEW_TEXTS = 3
# Padded lengths that are compared, the nearest to the most urgent text's: a choice then takes under a millisecond of
# the event loop, also where every length is a bucket.
_MOST_LENGTHS = 32


@dataclass(frozen=True)
class EncodedText:
    """One text's vector, with its times on the event loop's clock in seconds.

    Attributes:
        vector: float32[d], unit.
        queued_s: when it began to wait for a batch.
        sent_s: when its batch was sent to Triton; for one that joined an equal text under way, when it joined.
        answered_s: when Triton answered.
    """

    vector: np.ndarray
    queued_s: float
    sent_s: float
    answered_s: float


@dataclass(frozen=True)
class BatchLimits:
    """Limits of batches and of the queue.

    Attributes:
        buckets: padded lengths in tokens, ascending; every length where the engine takes them all alike.
        pad_token_id: fills short texts.
        max_texts: most texts in one batch.
        max_padded_tokens: most texts times padded length in one batch; a single text always fits.
        max_waiting_texts: beyond this many waiting texts a new one is refused.
        in_flight: batches sent at the same time.
        share_equal: whether equal texts are computed once; not for an encoder whose vectors depend on batch mates.
        longest_wait_s: a text whose deadline is farther away counts as due after this, seconds.
    """

    buckets: tuple[int, ...]
    pad_token_id: int
    max_texts: int = 32
    max_padded_tokens: int = 4096
    max_waiting_texts: int = 2048
    in_flight: int = 2
    share_equal: bool = True
    longest_wait_s: float = 2.0


@dataclass(frozen=True)
class Caller:
    """One caller of a text.

    Attributes:
        deadline: of the call.
        queued_s: when it came, loop time.
        answer: its future.
    """

    deadline: Deadline
    queued_s: float
    answer: "asyncio.Future[EncodedText]"


@dataclass(eq=False)
class WaitingText:
    """A text with all who wait for its vector.

    Attributes:
        ids: int64[L].
        bucket: its padded length, were it alone.
        number: of its arrival.
        urgency_s: loop time by which it should be sent; the smallest goes first.
        callers: those that wait for it; some may have left.
        answer_by_s: loop time at which its batch's call ends at the latest; infinite while it was not sent.
        call: its batch's; None while it was not sent.
        mates: the texts of its batch; empty while it was not sent.
    """

    ids: np.ndarray
    bucket: int
    number: int
    urgency_s: float
    callers: list[Caller]
    answer_by_s: float = math.inf
    call: "asyncio.Task[None] | None" = None
    mates: "Sequence[WaitingText]" = field(default=(), repr=False)

    @property
    def is_wanted(self) -> bool:
        """True while a caller waits for it."""
        return any(not caller.answer.done() for caller in self.callers)

    def is_wanted_at(self, now_s: float) -> bool:
        """Returns whether a caller waits for it whose deadline is later."""
        for caller in self.callers:  # noqa: SIM110 -- asked of every text before each batch; `any` takes twice as long
            if caller.deadline.at_s > now_s and not caller.answer.done():
                return True
        return False

    @property
    def last_deadline_s(self) -> float:
        """Deadline of its most patient caller."""
        return max(caller.deadline.at_s for caller in self.callers if not caller.answer.done())

    def fail(self, error: Exception) -> None:
        """Gives every caller that still waits an error."""
        for caller in self.callers:
            if not caller.answer.done():
                caller.answer.set_exception(error)
                # Retrieved here too: a caller that left never awaits it, and asyncio would log that.
                caller.answer.exception()

    def answer(self, vector: np.ndarray, sent_s: float, answered_s: float) -> None:
        """Gives every caller that still waits the vector."""
        for caller in self.callers:
            if not caller.answer.done():
                sent = max(sent_s, caller.queued_s)
                caller.answer.set_result(EncodedText(vector, caller.queued_s, sent, answered_s))


class TextQueue:
    """The texts that wait. Belongs to one event loop."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._by_bucket: dict[int, list[WaitingText]] = {}
        self._count = 0
        self._numbers = 0

    def __len__(self) -> int:
        """Texts that wait, of callers that left among them until `drop_gone`."""
        return self._count

    def __iter__(self) -> Iterator[WaitingText]:
        for texts in self._by_bucket.values():
            yield from texts

    def new(self, ids: np.ndarray, caller: Caller) -> WaitingText:
        """Appends a text, int64[L], L at most the last bucket."""
        buckets = self._limits.buckets
        bucket = buckets[bisect_left(buckets, len(ids))]
        text = WaitingText(ids, bucket, self._numbers, self._urgency_s(caller), [caller])
        self._numbers += 1
        self._by_bucket.setdefault(bucket, []).append(text)
        self._count += 1
        return text

    def join(self, text: WaitingText, caller: Caller) -> None:
        """Adds a caller to a text, which may be under way."""
        text.callers.append(caller)
        text.urgency_s = min(text.urgency_s, self._urgency_s(caller))

    def _urgency_s(self, caller: Caller) -> float:
        return min(caller.deadline.at_s, caller.queued_s + self._limits.longest_wait_s)

    def drop_gone(self, now_s: float) -> list[WaitingText]:
        """Drops the texts whose callers left or ran out of time; these are told. Returns the dropped ones."""
        dropped = []
        for bucket, texts in list(self._by_bucket.items()):
            kept = []
            for text in texts:
                if text.is_wanted_at(now_s):
                    kept.append(text)
                else:
                    text.fail(DeadlineExceeded("the deadline passed while the text waited for the encoder"))
                    dropped.append(text)
            if len(kept) < len(texts):
                self._put(bucket, kept)
        self._count -= len(dropped)
        return dropped

    def clear(self) -> list[WaitingText]:
        """Takes everything."""
        texts = list(self)
        self._by_bucket.clear()
        self._count = 0
        return texts

    def take(self, fixed_tokens: float) -> tuple[list[WaitingText], int]:
        """Takes the next batch, and returns it with its padded length; nothing where nothing waits.

        Args:
            fixed_tokens: the cost of a batch besides its padded tokens, in tokens.
        """
        if not self._count:
            return [], 0
        first = min(self, key=_order)
        choice = _Choice(first, self._by_bucket, self._limits, fixed_tokens)
        longest, plan = choice.best()
        return self._pick(plan), longest

    def _pick(self, plan: dict[int, int]) -> list[WaitingText]:
        """Takes the most urgent texts of each bucket."""
        batch = []
        for bucket, count in plan.items():
            texts = sorted(self._by_bucket[bucket], key=_order)
            batch += texts[:count]
            self._put(bucket, texts[count:])
        self._count -= len(batch)
        return batch

    def _put(self, bucket: int, texts: list[WaitingText]) -> None:
        if texts:
            self._by_bucket[bucket] = texts
        else:
            del self._by_bucket[bucket]


def _order(text: WaitingText) -> tuple[float, int]:
    return text.urgency_s, text.number


class _Choice:
    """Choice of a batch around the most urgent text."""

    def __init__(
        self, first: WaitingText, waiting: Mapping[int, Sequence[WaitingText]], limits: BatchLimits, fixed_tokens: float
    ) -> None:
        self._first = first
        self._limits = limits
        self._fixed_tokens = fixed_tokens
        self._buckets = sorted(waiting)
        self._counts = {bucket: len(texts) for bucket, texts in waiting.items()}

    def best(self) -> tuple[int, dict[int, int]]:
        """Returns the padded length and how many texts of each bucket cost least a token."""
        shortest = bisect_left(self._buckets, self._first.bucket)
        longer = self._buckets[shortest : shortest + _MOST_LENGTHS]
        plans = [(longest, *self._plan(longest)) for longest in longer]
        longest, plan, _ = max(plans, key=lambda one: one[2])
        return longest, plan

    def _plan(self, longest: int) -> tuple[dict[int, int], float]:
        """Returns a batch of this padded length, and the tokens that its texts would have alone over its cost.

        The longest texts join while they raise that.
        """
        most = max(1, min(self._limits.max_texts, self._limits.max_padded_tokens // longest))
        real, cost, size = float(self._first.bucket), self._fixed_tokens + longest, 1
        plan = {self._first.bucket: 1}
        for bucket in reversed(self._buckets[: bisect_left(self._buckets, longest) + 1]):
            for _ in range(self._counts[bucket] - plan.get(bucket, 0)):
                # What keeps this text out keeps out all that are shorter.
                if size == most or bucket * cost <= real * longest or self._wastes(real + bucket, longest, size + 1):
                    return plan, real / cost
                real, cost, size = real + bucket, cost + longest, size + 1
                plan[bucket] = plan.get(bucket, 0) + 1
        return plan, real / cost

    @staticmethod
    def _wastes(real: float, longest: int, size: int) -> bool:
        """Returns whether so large a batch would be padding for more than the share that it may be."""
        return size > _FEW_TEXTS and real < (1 - _MOST_PADDING) * longest * size
