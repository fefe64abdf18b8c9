"""Progress of long work: the Protocol that steps report to, and the implementations that need no library."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol, Self

LINE_EVERY_S = 10.0
# Longest silence while a `Heartbeat` runs.
SILENCE_S = 15.0


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


@dataclass
class _Counted:
    """Counted work that runs.

    Attributes:
        text: what it is.
        total: units in all.
        unit: name of a unit.
        started_s: on the clock.
        done: units so far.
    """

    text: str
    total: int
    unit: str
    started_s: float
    done: int = 0

    def words(self, now_s: float) -> str:
        """Returns count, rate and time left; where nothing is done yet, the time since the start."""
        if not self.done:
            return f"{self.text}: 0 of {self.total:,} {self.unit} after {now_s - self.started_s:.0f} s"
        rate = self.done / max(now_s - self.started_s, 1e-9)
        left_s = max(0, self.total - self.done) / rate
        speed = _speed(rate, self.unit)
        return f"{self.text}: {self.done:,} of {self.total:,} {self.unit}, {speed}, {left_s:.0f} s left"


class LineProgress:
    """Progress as plain lines for a log: a line a step, and a line every ten seconds of counted work.

    Between `Heartbeat.__enter__` and its end it is never silent for longer than `SILENCE_S`.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the function that writes a line, and the clock, in seconds."""
        self._write_line, self._clock = write, clock
        self._lock = threading.RLock()
        self._counted: list[_Counted] = []
        self._last_text, self._last_s, self._written_s = "", clock(), clock()

    def step(self, text: str) -> None:
        """Writes the text."""
        with self._lock:
            self._last_text, self._last_s = text, self._clock()
            self._write(text)

    @contextmanager
    def track(self, text: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Writes count, rate and time left while the work runs, and a summary after it."""
        counted = _Counted(text, total, unit, self._clock())

        def advance(count: int) -> None:
            with self._lock:
                counted.done += count
                if self._clock() - self._written_s >= LINE_EVERY_S and counted.done < total:
                    self._write(counted.words(self._clock()))

        with self._lock:
            self._counted.append(counted)
            if len(self._counted) == 1:
                self._written_s = max(self._written_s, counted.started_s)
        try:
            yield advance
        finally:
            with self._lock:
                self._counted.remove(counted)
        self.step(summary(text, counted.done, unit, self._clock() - counted.started_s))

    def metric(self, name: str, step: int, value: float) -> None:
        """Ignores the point: curves are not for a log."""

    def beat(self) -> None:
        """Writes how far the work is, where nothing has been written for `SILENCE_S`; any thread may call it."""
        with self._lock:
            now_s = self._clock()
            if now_s - self._written_s < SILENCE_S:
                return
            if self._counted:
                self._write(self._counted[-1].words(now_s))
            elif self._last_text:
                self._write(f"    still after {now_s - self._last_s:.0f} s: {self._last_text.strip()}")

    def _write(self, text: str) -> None:
        self._written_s = self._clock()
        self._write_line(text)


class Heartbeat:
    """Thread that lets a progress beat every second, so that long work is never silent."""

    def __init__(self, progress: LineProgress) -> None:
        self._progress = progress
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(1.0):
            self._progress.beat()


def summary(text: str, done: int, unit: str, seconds: float) -> str:
    """Returns the line that ends counted work."""
    return f"{text}: {done:,} {unit} in {seconds:.1f} s ({_speed(done / max(seconds, 1e-9), unit)})"


def _speed(rate: float, unit: str) -> str:
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"
