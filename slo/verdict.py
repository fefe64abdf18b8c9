"""Verdict on a run: each rule beside what was measured, unless the generator itself could not keep up."""

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass

from slo.recorder import Measurement
from slo.rules import LAG_SHARE, LEAST_LAG_MS, LatencyRule, Slo


class Outcome(enum.Enum):
    """Outcome of a verdict."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule and what was measured.

    Attributes:
        rule: the rule in words.
        measured: the value in words.
        holds: whether it holds.
    """

    rule: str
    measured: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict on a run.

    Attributes:
        outcome: of all rules together.
        findings: one for each rule, also where nothing is judged.
        reason: why nothing is judged; else empty.
    """

    outcome: Outcome
    findings: tuple[Finding, ...]
    reason: str = ""


def judge(slo: Slo, measured: Measurement) -> Verdict:
    """Compares a run with the rules."""
    findings = tuple(_findings(slo, measured))
    if reason := refusal(slo, measured):
        return Verdict(Outcome.NOT_JUDGED, findings, reason)
    holds = all(finding.holds for finding in findings)
    return Verdict(Outcome.HOLDS if holds else Outcome.BROKEN, findings)


def refusal(slo: Slo, measured: Measurement) -> str:
    """Returns why a run says nothing about the service; empty where it does."""
    if not measured.call_count:
        return "no call was meant for the time after the warm-up: give a higher rate or a longer duration"
    if measured.unsent_count:
        return (
            f"the generator could not keep up: it gave up {measured.unsent_count:,} of {measured.call_count:,} calls "
            "before they were sent; give --processes, a lower rate, or another machine"
        )
    lag_ms, bound_ms = measured.lag.percentile_ms(99), slo.lag_p99_ms
    if bound_ms is None:
        bound_ms = max(LEAST_LAG_MS, LAG_SHARE * measured.latency.intended.percentile_ms(99))
    if lag_ms > bound_ms:
        return (
            f"the generator could not keep up: its own lateness has a p99 of {lag_ms:.1f} ms, at most "
            f"{bound_ms:.3g} ms are tolerable (generator.lag_p99_ms); give --processes, a lower rate, or another "
            "machine"
        )
    return ""


def _findings(slo: Slo, measured: Measurement) -> Iterator[Finding]:
    for rule in slo.latency:
        yield _latency(rule, measured)
    share = measured.error_share
    yield Finding(f"errors at most {slo.error_share:.3%}", f"{share:.3%}", share <= slo.error_share)
    if slo.degraded_share is not None:
        share = measured.degraded_share
        yield Finding(f"degraded at most {slo.degraded_share:.3%}", f"{share:.3%}", share <= slo.degraded_share)
    if (goodput := slo.goodput) is not None:
        within = f"answered within {goodput.within_ms:g} ms"
        if goodput.share is not None:
            share = measured.good_count / max(1, measured.call_count)
            yield Finding(f"{within}: at least {goodput.share:.3%}", f"{share:.3%}", share >= goodput.share)
        if goodput.per_second is not None:
            rate = measured.good_rate
            yield Finding(f"{within}: at least {goodput.per_second:g}/s", f"{rate:.1f}/s", rate >= goodput.per_second)
    for bound in slo.relevance:
        value = measured.relevance(bound.metric, bound.depth)
        text = "no judged reply" if math.isnan(value) else f"{value:.4f} over {len(measured.hits):,} replies"
        yield Finding(f"{bound.metric}@{bound.depth} at least {bound.at_least:g}", text, value >= bound.at_least)


def _latency(rule: LatencyRule, measured: Measurement) -> Finding:
    latency = measured.latency if rule.kind is None else measured.by_kind.get(rule.kind)
    value_ms = math.nan if latency is None else latency.intended.percentile_ms(rule.percentile)
    calls = "" if rule.kind is None else f"{rule.kind} "
    text = "no answer" if math.isnan(value_ms) else f"{value_ms:.1f} ms"
    return Finding(f"{calls}p{rule.percentile:g} at most {rule.at_most_ms:g} ms", text, value_ms <= rule.at_most_ms)
