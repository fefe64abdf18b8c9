"""Stage trace: the time of one request by named stages.

    with trace.stage("recall"):
        ...

A stage may be opened inside another one, several times, and in several tasks or threads at once. Its time is the time
during which at least one of its spans was open.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from domain.recommendation import StageTimes

STAGES = tuple(field.name.removesuffix("_s") for field in fields(StageTimes))


@dataclass(frozen=True)
class Span:
    """One stretch of time in a stage.

    Attributes:
        stage: one of `STAGES`.
        started_s: on the clock of `time.monotonic()`, which is the event loop's too.
        ended_s: on the same clock.
    """

    stage: str
    started_s: float
    ended_s: float


class Trace:
    """The spans of one request, or of one entry of a batch."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Records the time of the block, also where it raises."""
        started_s = time.monotonic()
        try:
            yield
        finally:
            self.record(name, started_s, time.monotonic())

    def record(self, name: str, started_s: float, ended_s: float) -> None:
        """Records a span that was measured elsewhere.

        Args:
            name: the stage.
            started_s: as `Span.started_s`.
            ended_s: likewise.

        Raises:
            ValueError: there is no such stage.
        """
        if name not in STAGES:
            raise ValueError(f'"{name}" is not a stage; expected one of {", ".join(STAGES)}')
        self._spans.append(Span(name, started_s, ended_s))

    def seconds(self, name: str) -> float:
        """Returns the time during which a stage was open; 0 where it never was."""
        total_s, open_until_s = 0.0, float("-inf")
        for span in sorted((span for span in self._spans if span.stage == name), key=lambda span: span.started_s):
            total_s += max(0.0, span.ended_s - max(span.started_s, open_until_s))
            open_until_s = max(open_until_s, span.ended_s)
        return total_s

    def times(self) -> StageTimes:
        """Returns the time of every stage so far."""
        return StageTimes(**{f"{name}_s": self.seconds(name) for name in STAGES})
