"""Service level objectives: what must hold."""

from dataclasses import dataclass
from pathlib import Path

from slo.calls import CallKind

ERROR_SHARE = 0.001
LEAST_LAG_MS = 5.0
LAG_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class LatencyRule:
    """Bound of a percentile of the answered calls' latency, from the intended send.

    Attributes:
        percentile: above 0, up to 100.
        at_most_ms: the bound.
        kind: the calls; None for all.
    """

    percentile: float
    at_most_ms: float
    kind: CallKind | None = None


@dataclass(frozen=True, slots=True)
class GoodputRule:
    """Least number of good answers, those within a latency.

    Attributes:
        within_ms: the latency, from the intended send.
        share: of the calls, 0 to 1; None where not bounded.
        per_second: good answers a second; None where not bounded.
    """

    within_ms: float
    share: float | None = None
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class RelevanceRule:
    """Least mean relevance of the replies to judged queries.

    Attributes:
        metric: `ndcg`, `recall`, `hit_rate` or `mrr`.
        depth: ranks that count.
        at_least: the bound, 0 to 1.
    """

    metric: str
    depth: int
    at_least: float


@dataclass(frozen=True, slots=True)
class Judgements:
    """Given answers.

    Attributes:
        path: file of judgements: query_id, item_id, grade.
        relevant_grade: least grade of an answer.
    """

    path: Path
    relevant_grade: int = 1


@dataclass(frozen=True, slots=True)
class Slo:
    """Service level objectives.

    Attributes:
        latency: bounds of percentiles.
        error_share: bound of the share of calls that are not answered.
        degraded_share: bound of the share of answered calls that are degraded; None where not bounded.
        degradation_reasons: the reasons that count; None for all that the request itself does not bring about.
        goodput: bound; None for none.
        relevance: bounds.
        judgements: what relevance is measured by; None without it.
        lag_p99_ms: bound of the generator's own lateness, beyond which nothing is judged; None for a tenth of the p99
            measured, at least `LEAST_LAG_MS`.
        capacity_at_least: least capacity in calls a second that a search must find; None where any will do.
    """

    latency: tuple[LatencyRule, ...] = ()
    error_share: float = ERROR_SHARE
    degraded_share: float | None = None
    degradation_reasons: frozenset[str] | None = None
    goodput: GoodputRule | None = None
    relevance: tuple[RelevanceRule, ...] = ()
    judgements: Judgements | None = None
    lag_p99_ms: float | None = None
    capacity_at_least: float | None = None
