"""Reading of slo.toml. Every unknown key is refused, and every message names the key and what was expected."""

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from domain.errors import ConfigurationError
from slo.calls import CallKind
from slo.rules import (
    ERROR_SHARE,
    LAG_SHARE,
    LEAST_LAG_MS,
    GoodputRule,
    Judgements,
    LatencyRule,
    RelevanceRule,
    Slo,
)

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_RELEVANCE = re.compile(r"(ndcg|recall|hit_rate|mrr)@([1-9]\d*)")
_SECTIONS = ("latency", "calls", "errors", "degraded", "goodput", "relevance", "generator", "capacity")


class _Section:
    """Table of the file, with its place for messages."""

    def __init__(self, content: Mapping[str, object], place: str = "") -> None:
        self._content, self._place = content, place
        self.names = tuple(content)

    def inner(self, name: str) -> "_Section":
        """Returns a table in this one; an empty one where it is missing."""
        value = self._content.get(name, {})
        if not isinstance(value, dict):
            raise ConfigurationError(f"{self.path(name)}: expected a table, found {value!r}")
        return _Section(value, f"{self.path(name)}.")

    def refuse_others(self, known: tuple[str, ...], what: str = "") -> None:
        for name in self.names:
            if name not in known:
                raise ConfigurationError(f"{self.path(name)}: unknown; expected {what or 'one of ' + ', '.join(known)}")

    def number(self, name: str, least: float = 0.0, most: float = math.inf) -> float | None:
        """Returns a number in a range; None where it is missing."""
        value = self._content.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            bounds = f"a number from {least:g} to {most:g}" if most < math.inf else f"a number of {least:g} or more"
            raise ConfigurationError(f"{self.path(name)}: expected {bounds}, found {value!r}")
        return float(value)

    def strings(self, name: str) -> tuple[str, ...] | None:
        value = self._content.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ConfigurationError(f"{self.path(name)}: expected a list of strings, found {value!r}")
        return tuple(value)

    def string(self, name: str) -> str | None:
        value = self._content.get(name)
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{self.path(name)}: expected a string, found {value!r}")
        return value

    def path(self, name: str) -> str:
        return f"{self._place}{name}"


def read_slo(path: Path) -> Slo:
    """Reads an slo.toml.

    Raises:
        ConfigurationError: it cannot be read, or a key is unknown or out of its range; the message names the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
    try:
        return parse_slo(content, path.parent)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse_slo(content: Mapping[str, object], folder: Path) -> Slo:
    """Reads the content of an slo.toml; file names in it are relative to `folder`.

    Raises:
        ConfigurationError: a key is unknown or out of its range.
    """
    root = _Section(content)
    root.refuse_others(_SECTIONS)
    latency = _latency(root)
    errors, degraded, generator, capacity = map(root.inner, ("errors", "degraded", "generator", "capacity"))
    errors.refuse_others(("share",))
    degraded.refuse_others(("share", "reasons"))
    generator.refuse_others(("lag_p99_ms",))
    capacity.refuse_others(("at_least",))
    error_share, reasons = errors.number("share", most=1), degraded.strings("reasons")
    lag_ms = generator.number("lag_p99_ms")
    relevance, judgements = _relevance(root.inner("relevance"), folder)
    return Slo(
        latency=latency,
        error_share=ERROR_SHARE if error_share is None else error_share,
        degraded_share=degraded.number("share", most=1),
        degradation_reasons=None if reasons is None else frozenset(reasons),
        goodput=_goodput(root.inner("goodput")),
        relevance=relevance,
        judgements=judgements,
        lag_p99_ms=_tolerable_lag_ms(latency) if lag_ms is None else lag_ms,
        capacity_at_least=capacity.number("at_least"),
    )


def _tolerable_lag_ms(latency: tuple[LatencyRule, ...]) -> float | None:
    """Returns a tenth of the tightest bound: so much of a latency may be the generator's own."""
    return max(LEAST_LAG_MS, LAG_SHARE * min(rule.at_most_ms for rule in latency)) if latency else None


def _latency(root: _Section) -> tuple[LatencyRule, ...]:
    rules = _percentiles(root.inner("latency"), None)
    calls = root.inner("calls")
    calls.refuse_others(tuple(CallKind), f"a kind of call: {', '.join(CallKind)}")
    for kind in calls.names:
        section = calls.inner(kind)
        section.refuse_others(("latency",))
        rules += _percentiles(section.inner("latency"), CallKind(kind))
    return rules


def _percentiles(section: _Section, kind: CallKind | None) -> tuple[LatencyRule, ...]:
    rules = []
    for name in section.names:
        found = _PERCENTILE.fullmatch(name)
        if not found or float(found[1]) == 0:
            raise ConfigurationError(
                f'{section.path(name)}: expected a percentile such as p50, p99 or "p99.9" (quoted), with milliseconds'
            )
        limit_ms = section.number(name)
        assert limit_ms is not None
        rules.append(LatencyRule(float(found[1]), limit_ms, kind))
    return tuple(rules)


def _goodput(section: _Section) -> GoodputRule | None:
    section.refuse_others(("within_ms", "share", "per_second"))
    within_ms = section.number("within_ms")
    share, per_second = section.number("share", most=1), section.number("per_second")
    if not section.names:
        return None
    if within_ms is None or share is per_second is None:
        raise ConfigurationError("goodput: expected within_ms, and share or per_second")
    return GoodputRule(within_ms, share, per_second)


def _relevance(section: _Section, folder: Path) -> tuple[tuple[RelevanceRule, ...], Judgements | None]:
    rules = []
    for name in section.names:
        if found := _RELEVANCE.fullmatch(name):
            least = section.number(name, most=1)
            assert least is not None
            rules.append(RelevanceRule(found[1], int(found[2]), least))
        elif name not in ("judgements", "relevant_grade"):
            raise ConfigurationError(
                f'{section.path(name)}: unknown; expected judgements, relevant_grade, or a metric such as "ndcg@10", '
                f'"recall@10", "hit_rate@10" or "mrr@10" (quoted)'
            )
    if not section.names:
        return (), None
    path, grade = section.string("judgements"), section.number("relevant_grade", least=1, most=10)
    if path is None or not rules:
        raise ConfigurationError('relevance: expected judgements = "FILE" and at least one metric such as "ndcg@10"')
    return tuple(rules), Judgements(folder / path, int(grade or 1))
