"""Validation metrics of a trained model, and whether they are worse than those of the release it would replace."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.errors import ModelNotUsable

# Figures of which less is better, by a word in their name; of all others more is.
_LESS_IS_BETTER = ("brier", "loss", "error", "perplexity")
_EQUAL = 1e-9


@dataclass(frozen=True)
class Comparison:
    """Evaluation of a model and of a release on the same validation cases, made by `shortlist train --against`.

    Attributes:
        release_id: the release.
        impossible: why the two could not be compared; empty where they were, and only then the rest means something.
        metric: name of the metric; more is better.
        now: of the model.
        before: of the release.
        low: lower end of the 95 % interval of now - before.
        high: upper end of it.
        case_count: cases that both answered.
        unseen: whether the release's training saw none of the answers.
    """

    release_id: str
    impossible: str = ""
    metric: str = ""
    now: float = 0.0
    before: float = 0.0
    low: float = 0.0
    high: float = 0.0
    case_count: int = 0
    unseen: bool = False

    @property
    def worse(self) -> bool:
        """Returns whether the model is worse than the release."""
        return not self.impossible and self.before - self.now > _EQUAL

    def words(self) -> str:
        """Returns the comparison as a sentence without a full stop."""
        if self.impossible:
            return f"not compared with the release {self.release_id}: {self.impossible}"
        seen = "" if self.unseen else "; that release may have seen these answers in its training, which favours it"
        return (
            f"{self.metric} {self.now:.4f}, was {self.before:.4f} with the release {self.release_id} on the same "
            f"{self.case_count:,} validation cases (difference from {self.low:+.4f} to {self.high:+.4f}, 95 %){seen}"
        )


@dataclass(frozen=True)
class Quality:
    """Validation metrics of a model.

    Attributes:
        protocol: by which they were measured.
        metrics: by name.
        data: what they were measured on: digests of the files, seed, what counts as a choice; empty where that is
            unknown.
        intervals: their 95 % intervals, where known.
        against: comparison with the release that the model is to replace; None where none was made.
    """

    protocol: str
    metrics: Mapping[str, float]
    data: Mapping[str, object] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    against: Comparison | None = None


def read_quality(path: Path) -> Quality:
    """Reads quality.json: `protocol`, `data`, `against`, and `metrics`, each a number or `value`, `low` and `high`.

    Raises:
        ModelNotUsable: it cannot be read or says something else.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        named = dict(_flat("", raw.get("metrics", {})))
        protocol = raw.get("protocol", "")
        if not isinstance(protocol, str):
            raise ValueError("protocol must be a string")
        data = raw.get("data", {})
        if not isinstance(data, dict):
            raise ValueError("data must be an object")
        against = _comparison(raw["against"]) if raw.get("against") is not None else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelNotUsable(f"{path} cannot be read ({error}); train again, or restore it") from error
    return Quality(
        protocol,
        {name: measured[0] for name, measured in named.items()},
        data,
        {
            name: (measured[1], measured[2])
            for name, measured in named.items()
            if measured[1] is not None and measured[2] is not None
        },
        against,
    )


def _comparison(raw: Mapping[str, Any]) -> Comparison:
    if "impossible" in raw:
        return Comparison(str(raw["release"]), str(raw["impossible"]))
    difference = raw["difference"]
    return Comparison(
        release_id=str(raw["release"]),
        metric=str(raw["metric"]),
        now=float(raw["now"]),
        before=float(raw["before"]),
        low=float(difference["low"]),
        high=float(difference["high"]),
        case_count=int(raw["case_count"]),
        unseen=bool(raw["unseen"]),
    )


def unlike(new: Quality, old: Quality) -> str:
    """Says why figures cannot be compared: only the same questions, asked of models of the same data, tell anything.

    Empty where they can.
    """
    if new.protocol != old.protocol:
        return f"the protocol is {new.protocol or 'unnamed'}, was {old.protocol or 'unnamed'}"
    if not new.data or not old.data:
        return "it is not known what they were measured on"
    names = sorted(new.data.keys() | old.data.keys())
    differing = [name for name in names if new.data.get(name) != old.data.get(name)]
    return f"measured on other data ({', '.join(differing)})" if differing else ""


def worse_metrics(new: Quality, old: Quality) -> tuple[str, ...]:
    """Returns a line for each figure that is worse than before, of figures that can be compared (see `unlike`)."""
    lines = []
    for name, before in sorted(old.metrics.items()):
        now = new.metrics.get(name)
        if now is None:
            continue
        fall = now - before if _less_is_better(name) else before - now
        if fall > _EQUAL:
            lines.append(f"{name} {now:.4f}, was {before:.4f}")
    return tuple(lines)


def _less_is_better(name: str) -> bool:
    return any(word in name.lower() for word in _LESS_IS_BETTER)


_Measured = tuple[float, float | None, float | None]


def _flat(prefix: str, value: object) -> list[tuple[str, _Measured]]:
    """Returns (name, (number, low, high)) pairs; inner names after a dot."""
    if isinstance(value, dict) and _number(value.get("value")) is not None:
        return [(prefix, (float(value["value"]), _number(value.get("low")), _number(value.get("high"))))]
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else key, inner)]
    number = _number(value)
    return [] if number is None else [(prefix, (number, None, None))]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
