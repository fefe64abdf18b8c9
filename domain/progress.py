"""Progress of long work: the Protocol that steps report to, and the implementations that need no library."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

LINE_EVERY_S = 10.0


class Progress(Protocol):
    """Receiver of steps, counts and metrics of long work."""

    def step(self, text: str) -> None:
        """Reports in a line what begins, or a result."""

    def track(self, text: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """Shows how far work of `total` units is; the function takes the number of units done since its last call."""

    def metric(self, name: str, step: int, value: float) -> None:
        """Reports a point of a curve, for example ("user_tower/validation_recall_at_10", epoch, .08)."""


class SilentProgress:
    """Progress that reports nothing."""

    def step(self, text: str) -> None:
        """Ignores the text."""

    def track(self, text: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """Ignores the count."""
        return nullcontext(lambda _: None)

    def metric(self, name: str, step: int, value: float) -> None:
        """Ignores the point."""


class LineProgress:
    """Progress as plain lines for a log: a line a step, and a line every ten seconds of counted work."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Takes the function that writes a line."""
        self._write = write

    def step(self, text: str) -> None:
        """Writes the text."""
        self._write(text)

    @contextmanager
    def track(self, text: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Writes count, rate and time left while the work runs, and a summary after it."""
        started_s = written_s = time.monotonic()
        done = 0

        def advance(count: int) -> None:
            nonlocal done, written_s
            done += count
            now_s = time.monotonic()
            if now_s - written_s >= LINE_EVERY_S and done < total:
                written_s = now_s
                rate = done / (now_s - started_s)
                self.step(
                    f"{text}: {done:,} of {total:,} {unit}, {rate:,.0f} {unit}/s, {(total - done) / rate:.0f} s left"
                )

        yield advance
        self.step(summary(text, done, unit, time.monotonic() - started_s))

    def metric(self, name: str, step: int, value: float) -> None:
        """Ignores the point: curves are not for a log."""


def summary(text: str, done: int, unit: str, seconds: float) -> str:
    """Returns the line that ends counted work."""
    return f"{text}: {done:,} {unit} in {seconds:.1f} s ({done / max(seconds, 1e-9):,.0f} {unit}/s)"
