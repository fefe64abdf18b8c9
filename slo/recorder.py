"""Recording of a run: histograms and counts from the samples of all generator processes, second by second."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.metrics import binary_ndcg
from slo.calls import CallKind
from slo.generator import UNSENT, Sample
from slo.histogram import LatencyHistogram
from slo.target import OK

# What the request itself brings about; the service did all it could.
CAUSED_BY_REQUEST = frozenset(
    f"DEGRADATION_REASON_{reason}"
    for reason in ("COLD_START", "TEXT_TRUNCATED", "ENCODER_LANGUAGE_UNSUPPORTED", "NOTHING_RELEVANT")
)


@dataclass(frozen=True, slots=True)
class RunScope:
    """Extent of a run.

    Attributes:
        warm_up_s: calls meant for earlier are sent and not counted.
        duration_s: the last intended time, in seconds since the start.
        offered_count: calls meant for the counted part; None for closed-loop callers.
        within_ms: the latency within which an answer is good (goodput).
        degradation_reasons: the reasons that count as degraded; None for all but `CAUSED_BY_REQUEST`.
    """

    warm_up_s: float
    duration_s: float
    offered_count: int | None
    within_ms: float | None = None
    degradation_reasons: frozenset[str] | None = None

    @property
    def counted_s(self) -> float:
        """Seconds of the counted part."""
        return self.duration_s - self.warm_up_s

    def counts_degradation(self, reason: str) -> bool:
        """Tells whether a reply with this reason is degraded."""
        if self.degradation_reasons is None:
            return reason not in CAUSED_BY_REQUEST
        return reason in self.degradation_reasons


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of the calls that were answered, on both clocks.

    Attributes:
        intended: from the time at which a call was meant to be sent.
        sent: from the time at which it was sent.
    """

    intended: LatencyHistogram = field(default_factory=LatencyHistogram)
    sent: LatencyHistogram = field(default_factory=LatencyHistogram)


@dataclass(frozen=True, slots=True)
class SecondRow:
    """One second of a run, by the time at which calls ended.

    Attributes:
        second: from 0.
        answered: calls.
        failed: calls.
        degraded: answered calls that are worse than full ones.
        p50_ms, p99_ms, max_ms: latency of the answered calls from the intended time; NaN where there are none.
        sent_p99_ms: the same from the actual send.
        lag_p99_ms: lateness of the generator itself.
        in_flight: calls under way at the end.
    """

    second: int
    answered: int
    failed: int
    degraded: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    sent_p99_ms: float
    lag_p99_ms: float
    in_flight: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """Figures of a run, of the calls after the warm-up.

    Attributes:
        scope: what was counted.
        latency: of all calls.
        by_kind: the same by kind of call.
        lag: lateness of the generator itself, all calls.
        codes: number of calls by outcome.
        degradations: number of answered calls by reason; a reply may have several.
        degraded_count: answered calls with a reason that counts.
        good_count: answered calls within `scope.within_ms`; all answered ones without it.
        hits: bool[n, k], for each judged reply whether the item at each rank is an answer; short lists are filled with
            False.
        answer_counts: int64[n], the number of known answers of each.
        seconds: the whole run, warm-up included.
        generator_cores: processor time of the generator processes over the run's time.
    """

    scope: RunScope
    latency: Latency
    by_kind: Mapping[CallKind, Latency]
    lag: LatencyHistogram
    codes: Mapping[str, int]
    degradations: Mapping[str, int]
    degraded_count: int
    good_count: int
    hits: np.ndarray
    answer_counts: np.ndarray
    seconds: Sequence[SecondRow]
    generator_cores: float

    @property
    def call_count(self) -> int:
        """All calls that were counted, sent or not."""
        return sum(self.codes.values())

    @property
    def answered_count(self) -> int:
        """Calls answered OK."""
        return self.codes.get(OK, 0)

    @property
    def unsent_count(self) -> int:
        """Calls that the generator gave up before they were sent, being late itself."""
        return self.codes.get(UNSENT, 0)

    @property
    def answered_rate(self) -> float:
        """Answered calls a second."""
        return self.answered_count / self.scope.counted_s

    @property
    def offered_rate(self) -> float | None:
        """Intended calls a second; None for closed-loop callers."""
        return None if self.scope.offered_count is None else self.scope.offered_count / self.scope.counted_s

    @property
    def error_share(self) -> float:
        """The share of calls that were not answered; 1 where there were none."""
        return (self.call_count - self.answered_count) / self.call_count if self.call_count else 1.0

    @property
    def degraded_share(self) -> float:
        """The share of answered calls that are degraded."""
        return self.degraded_count / max(1, self.answered_count)

    @property
    def good_rate(self) -> float:
        """Good answers a second."""
        return self.good_count / self.scope.counted_s

    def relevance(self, metric: str, depth: int) -> float:
        """Returns the mean over judged replies of `ndcg`, `recall`, `hit_rate` or `mrr` at a depth; NaN without any."""
        if not len(self.hits):
            return float("nan")
        hits = self.hits[:, :depth]
        match metric:
            case "ndcg":
                return float(binary_ndcg(hits, self.answer_counts, depth).mean())
            case "recall":
                return float((hits.sum(axis=1) / np.minimum(self.answer_counts, depth)).mean())
            case "hit_rate":
                return float(hits.any(axis=1).mean())
        first = np.where(hits.any(axis=1), hits.argmax(axis=1), np.iinfo(np.int64).max - 1)
        return float((hits.any(axis=1) / (first + 1)).mean())


class Recorder:
    """Histograms and counts of a run under way."""

    def __init__(self, scope: RunScope, kinds: Sequence[CallKind], answer_counts: Sequence[int]) -> None:
        """Takes the scope and, for each call of the workload, its kind and the number of its known answers."""
        self._scope, self._kinds, self._answer_counts = scope, kinds, answer_counts
        self._latency = Latency()
        self._by_kind = {kind: Latency() for kind in sorted(set(kinds))}
        self._lag = LatencyHistogram()
        self._codes: Counter[str] = Counter()
        self._degradations: Counter[str] = Counter()
        self._degraded = self._good = 0
        self._hits: list[tuple[bool, ...]] = []
        self._judged: list[int] = []
        self._seconds: list[SecondRow] = []

    def record(self, second: int, samples: Sequence[Sample], in_flight: int) -> SecondRow:
        """Adds the calls that ended in one second, of all processes; returns that second's row."""
        self._count([sample for sample in samples if sample.intended_s >= self._scope.warm_up_s])
        row = _second_row(second, samples, in_flight, sum(map(self._is_degraded, samples)))
        self._seconds.append(row)
        return row

    def measurement(self, generator_cores: float) -> Measurement:
        """Returns the figures so far."""
        width = max(map(len, self._hits), default=0)
        hits = np.array([(*one, *(False,) * (width - len(one))) for one in self._hits], bool)
        return Measurement(
            scope=self._scope,
            latency=self._latency,
            by_kind=self._by_kind,
            lag=self._lag,
            codes=dict(self._codes),
            degradations=dict(self._degradations),
            degraded_count=self._degraded,
            good_count=self._good,
            hits=hits.reshape(len(self._hits), width),
            answer_counts=np.array(self._judged, np.int64),
            seconds=tuple(self._seconds),
            generator_cores=generator_cores,
        )

    def _count(self, samples: Sequence[Sample]) -> None:
        answered = [sample for sample in samples if sample.code == OK]
        self._codes.update(sample.code for sample in samples)
        self._lag.record(sample.lag_s for sample in samples)
        _record(self._latency, answered)
        for kind, latency in self._by_kind.items():
            _record(latency, [sample for sample in answered if self._kinds[sample.call_index] == kind])
        limit_s = float("inf") if self._scope.within_ms is None else self._scope.within_ms / 1e3
        self._good += sum(sample.done_s - sample.intended_s <= limit_s for sample in answered)
        self._degraded += sum(map(self._is_degraded, answered))
        for sample in answered:
            self._degradations.update(set(sample.degradations))
            if count := self._answer_counts[sample.call_index]:
                self._hits.append(sample.hits)
                self._judged.append(count)

    def _is_degraded(self, sample: Sample) -> bool:
        return any(map(self._scope.counts_degradation, sample.degradations))


def _record(latency: Latency, samples: Iterable[Sample]) -> None:
    samples = list(samples)
    latency.intended.record(sample.done_s - sample.intended_s for sample in samples)
    latency.sent.record(sample.done_s - sample.sent_s for sample in samples)


def _second_row(second: int, samples: Sequence[Sample], in_flight: int, degraded: int) -> SecondRow:
    answered = [sample for sample in samples if sample.code == OK]
    intended = np.array([sample.done_s - sample.intended_s for sample in answered]) * 1e3
    sent = np.array([sample.done_s - sample.sent_s for sample in answered]) * 1e3
    lag = np.array([sample.lag_s for sample in samples]) * 1e3
    return SecondRow(
        second=second,
        answered=len(answered),
        failed=len(samples) - len(answered),
        degraded=degraded,
        p50_ms=_percentile(intended, 50),
        p99_ms=_percentile(intended, 99),
        max_ms=_percentile(intended, 100),
        sent_p99_ms=_percentile(sent, 99),
        lag_p99_ms=_percentile(lag, 99),
        in_flight=in_flight,
    )


def _percentile(values: np.ndarray, percentile: float) -> float:
    return float(np.percentile(values, percentile)) if len(values) else float("nan")
