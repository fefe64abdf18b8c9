"""Stage trace: the time of one request by named stages.

    with trace.stage("recall"):
        ...

A stage may be opened inside another one, several times, and in several tasks or threads at once. Its time is the time
during which at least one of its spans was open.
"""

import time
from dataclasses import fields

from opentelemetry import propagate, trace

from domain.recommendation import StageTimes

STAGES = tuple(field.name.removesuffix("_s") for field in fields(StageTimes))


class _Stage:
    """Block whose time is recorded, also where it raises."""

    __slots__ = ("_name", "_started_s", "_trace")

    def __init__(self, owner: "Trace", name: str) -> None:
        self._trace = owner
        self._name = name

    def __enter__(self) -> None:
        self._started_s = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._trace.record(self._name, self._started_s, time.monotonic())


class Trace:
    """The spans of one request, or of one entry of a batch; made within its call."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[float, float]]] = {}
        self._exported = trace.get_current_span().is_recording()

    def stage(self, name: str) -> _Stage:
        """Returns the block in which a stage is open."""
        return _Stage(self, name)

    def record(self, name: str, started_s: float, ended_s: float) -> None:
        """Records a span that was measured elsewhere.

        Args:
            name: the stage.
            started_s: on the clock of `time.monotonic()`, which is the event loop's too.
            ended_s: on the same clock.

        Raises:
            ValueError: there is no such stage.
        """
        if name not in STAGES:
            raise ValueError(f'"{name}" is not a stage; expected one of {", ".join(STAGES)}')
        # Appending is atomic: threads of one request record at once.
        self._spans.setdefault(name, []).append((started_s, ended_s))
        if self._exported:
            _export(name, started_s, ended_s)

    def seconds(self, name: str) -> float:
        """Returns the time during which a stage was open; 0 where it never was."""
        total_s, open_until_s = 0.0, float("-inf")
        for started_s, ended_s in sorted(self._spans.get(name, ())):
            total_s += max(0.0, ended_s - max(started_s, open_until_s))
            open_until_s = max(open_until_s, ended_s)
        return total_s

    def times(self) -> StageTimes:
        """Returns the time of every stage so far."""
        return StageTimes(**{f"{name}_s": self.seconds(name) for name in tuple(self._spans)})


def _export(name: str, started_s: float, ended_s: float) -> None:
    """Adds a stage to the trace that is recorded, as a child of the call."""
    epoch_s = time.time() - time.monotonic()
    span = trace.get_tracer("shortlist").start_span(name, start_time=int((epoch_s + started_s) * 1e9))
    span.end(int((epoch_s + ended_s) * 1e9))


def with_trace(headers: tuple[tuple[str, str], ...] | None) -> tuple[tuple[str, str], ...] | None:
    """Returns the headers of an outgoing call with the trace that is current, if any."""
    if not trace.get_current_span().get_span_context().is_valid:
        return headers
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return (*(headers or ()), *carrier.items())
