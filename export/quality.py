"""The figures that a model was accepted with, and whether they are worse than those it would replace."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.errors import ModelNotUsable

# Figures of which less is better, by a word in their name; of all others more is.
_LESS_IS_BETTER = ("brier", "loss", "error", "perplexity")
_EQUAL = 1e-9


@dataclass(frozen=True)
class Quality:
    """Validation figures.

    Attributes:
        protocol: by which they were measured.
        metrics: by name.
        raw: all that the file says.
    """

    protocol: str
    metrics: Mapping[str, float]
    raw: Mapping[str, object]


def read_quality(path: Path) -> Quality:
    """Reads quality.json: `protocol` and `metrics`, each metric a number or an object with `value`.

    Raises:
        ModelNotUsable: it cannot be read or says something else.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        metrics = dict(_flat("", raw.get("metrics", {})))
        protocol = raw.get("protocol", "")
        if not isinstance(protocol, str):
            raise ValueError("protocol must be a string")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ModelNotUsable(f"{path} cannot be read ({error}); train again, or restore it") from error
    return Quality(protocol, metrics, raw)


def worse_figures(new: Quality, old: Quality) -> tuple[str, ...]:
    """Returns a line for each figure that is worse than before; figures of other protocols are never compared."""
    if new.protocol != old.protocol:
        return ()
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


def _flat(prefix: str, value: object) -> list[tuple[str, float]]:
    """Returns (name, number) pairs; inner names after a dot."""
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [(prefix, float(value))] if math.isfinite(value) else []
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("value"), int | float):
        return _flat(prefix, value["value"])
    return [pair for key, inner in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else key, inner)]
