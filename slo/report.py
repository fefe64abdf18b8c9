"""Reports of runs, searches and comparisons as JSON, and the sentences that explain them."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

from slo.capacity import Capacity, Trial
from slo.comparison import Comparison
from slo.recorder import Latency, Measurement
from slo.verdict import Outcome, Verdict

PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0)
_EQUAL_MS, _EQUAL_SHARE = 2.0, 0.05


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run.

    Attributes:
        facts: what was asked of whom, in words.
        measured: its figures.
        verdict: of the objectives; None where none were given.
    """

    facts: Mapping[str, str]
    measured: Measurement
    verdict: Verdict | None

    def to_json(self) -> dict[str, object]:
        """Returns a value for `json.dumps`."""
        return {
            "kind": "run",
            "facts": dict(self.facts),
            **measurement_json(self.measured),
            "verdict": None if self.verdict is None else verdict_json(self.verdict),
            "clocks": clocks(self.measured),
        }


@dataclass(frozen=True, slots=True)
class CapacityReport:
    """A search for the capacity.

    Attributes:
        facts: what was asked of whom, in words.
        capacity: its result.
    """

    facts: Mapping[str, str]
    capacity: Capacity

    def to_json(self) -> dict[str, object]:
        """Returns a value for `json.dumps`."""
        return {
            "kind": "capacity",
            "facts": dict(self.facts),
            "capacity_per_second": self.capacity.rate,
            "broken_at_per_second": self.capacity.broken_rate,
            "reason": self.capacity.reason,
            "trials": [_trial_json(trial) for trial in self.capacity.trials],
        }


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """A comparison of two deployments.

    Attributes:
        facts: what was asked of whom, in words.
        comparison: its result.
        refusals: why runs of it say nothing about the deployments; empty where all do.
    """

    facts: Mapping[str, str]
    comparison: Comparison
    refusals: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Returns a value for `json.dumps`."""
        return {
            "kind": "comparison",
            "facts": dict(self.facts),
            "names": list(self.comparison.names),
            "refusals": list(self.refusals),
            "rows": [dataclasses.asdict(row) for row in self.comparison.rows()],
            "rounds": [
                {"first": measurement_json(one.first), "second": measurement_json(one.second)}
                for one in self.comparison.rounds
            ],
        }


Report = RunReport | CapacityReport | ComparisonReport


def measurement_json(measured: Measurement) -> dict[str, object]:
    """Returns the figures of a run; rates are calls a second, latencies milliseconds."""
    return _finite_fields(
        {
            "counted_s": measured.scope.counted_s,
            "offered_per_second": measured.offered_rate,
            "answered_per_second": measured.answered_rate,
            "good_per_second": measured.good_rate,
            "calls": measured.call_count,
            "codes": dict(measured.codes),
            "error_share": measured.error_share,
            "degraded_share": measured.degraded_share,
            "degradations": dict(measured.degradations),
            "latency_ms": _latency_json(measured.latency),
            "latency_ms_by_kind": {kind.value: _latency_json(one) for kind, one in measured.by_kind.items()},
            "relevance": {
                f"{metric}@10": measured.relevance(metric, 10) for metric in ("ndcg", "recall", "hit_rate", "mrr")
            }
            if len(measured.hits)
            else None,
            "judged_replies": len(measured.hits),
            "generator": {
                "lag_ms": {f"p{one:g}": measured.lag.percentile_ms(one) for one in (50.0, 99.0, 100.0)},
                "unsent": measured.unsent_count,
                "cores": measured.generator_cores,
            },
            "hdr_histogram_us": {
                "intended": measured.latency.intended.encoded(),
                "sent": measured.latency.sent.encoded(),
            },
            "seconds": [dataclasses.asdict(row) for row in measured.seconds],
        }
    )


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """Returns a verdict with its findings."""
    return {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "findings": [dataclasses.asdict(finding) for finding in verdict.findings],
    }


def clocks(measured: Measurement) -> str:
    """Returns why the two latencies differ, or that they do not."""
    intended_ms, sent_ms = (clock.percentile_ms(99) for clock in (measured.latency.intended, measured.latency.sent))
    if not measured.answered_count:
        return "No call was answered, so there is no latency."
    if measured.offered_rate is None:
        return (
            "These are closed-loop callers: each waits for its answer before it sends again, so a slow service is sent "
            "fewer calls and its slow moments are counted rarely (coordinated omission). Latency is from the actual "
            "send; an open-loop run (--rate) has the latency that independent callers see."
        )
    if intended_ms - sent_ms <= max(_EQUAL_MS, _EQUAL_SHARE * intended_ms):
        return (
            f"From the intended send the p99 is {intended_ms:.1f} ms, from the actual send {sent_ms:.1f} ms: calls "
            "went out when they were due, so nothing is left out of the figures."
        )
    start = f"From the intended send the p99 is {intended_ms:.1f} ms, from the actual send {sent_ms:.1f} ms"
    lag_ms = measured.lag.percentile_ms(99)
    if lag_ms >= (intended_ms - sent_ms) / 2:
        return (
            f"{start}: the generator itself took calls up late, by {lag_ms:.1f} ms at its p99. The objectives are "
            "judged from the intended send, so they are the stricter for it."
        )
    return (
        f"{start}: calls that were due had to wait for a free place, because earlier ones had not come back. A "
        "generator that starts its clock only then leaves that waiting out (coordinated omission), though every caller "
        "has it; the objectives are judged from the intended send."
    )


def capacity_sentence(capacity: Capacity) -> str:
    """Returns the result of a search in words."""
    if capacity.rate is None:
        held = max((trial.rate for trial in capacity.trials if trial.holds), default=None)
        if capacity.reason:
            reached = "" if held is None else f" They held at {held:.1f} calls/s, which no longer run confirmed."
            return f"No capacity was found: {capacity.reason}.{reached}"
        return f"The objectives hold at no rate, down to {capacity.broken_rate or 0.0:.2g} calls/s."
    above = "" if capacity.broken_rate is None else f"; they break at {capacity.broken_rate:.1f}"
    ended = f" The search ended early: {capacity.reason}." if capacity.reason else ""
    return (
        f"The objectives hold up to {capacity.rate:.1f} calls/s, confirmed by a run of twice the length{above}.{ended}"
    )


def outcome_of(report: Report, at_least: float | None = None) -> Outcome:
    """Returns the outcome that the exit status tells.

    Args:
        report: any report; a run without objectives always holds, a comparison where each run counts.
        at_least: the capacity that a search must find, calls a second; None where any will do.
    """
    match report:
        case RunReport(verdict=Verdict(outcome=outcome)):
            return outcome
        case CapacityReport(capacity=capacity):
            enough = capacity.rate is not None and capacity.rate >= (at_least or 0.0)
            if enough:
                return Outcome.HOLDS
            return Outcome.NOT_JUDGED if capacity.reason else Outcome.BROKEN
        case ComparisonReport(refusals=refusals) if refusals:
            return Outcome.NOT_JUDGED
    return Outcome.HOLDS


def _trial_json(trial: Trial) -> dict[str, object]:
    return {
        "rate": trial.rate,
        "confirms": trial.confirms,
        **measurement_json(trial.measured),
        "verdict": verdict_json(trial.verdict),
    }


def _latency_json(latency: Latency) -> dict[str, object]:
    return {
        name: {
            "count": clock.count,
            "mean": clock.mean_ms(),
            **{f"p{one:g}": clock.percentile_ms(one) for one in PERCENTILES},
        }
        for name, clock in (("intended", latency.intended), ("sent", latency.sent))
    }


def _finite_fields(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: _finite(value) for name, value in fields.items()}


def _finite(value: object) -> object:
    """Returns the value with None in place of NaN, which JSON does not have."""
    match value:
        case dict():
            return {name: _finite(inner) for name, inner in value.items()}
        case list():
            return [_finite(inner) for inner in value]
        case float() if math.isnan(value):
            return None
    return value
