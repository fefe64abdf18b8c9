"""The recall threshold alpha of each source: what is at least so similar is recalled (T2), chosen on validation."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from training.splits.split import EvalSet, Scorer

# Similarities that lie closer are equal: those of one pair differ by less between training and a gateway.
_DECIMALS = 6


@dataclass(frozen=True)
class ThresholdSettings:
    """Conditions on a threshold.

    Attributes:
        least_precision: share of the recalled pairs of user and item that must be right.
        pair_limit: most pairs that are looked at; cases are left out beyond it.
    """

    least_precision: float = 0.02
    pair_limit: int = 20_000_000


@dataclass(frozen=True)
class Threshold:
    """A choice and what it gives on validation.

    Attributes:
        alpha: least similarity that is recalled, a rounding error below the least one that was chosen, so that a
            gateway recalls this one too; None where no threshold holds the precision: then none is used.
        precision: share of the recalled pairs that are right.
        recall: share of the right pairs that are recalled.
        least_precision: what was asked for.
    """

    alpha: float | None
    precision: float
    recall: float
    least_precision: float


def recalled(similarities: np.ndarray, alpha: float) -> np.ndarray:
    """Returns bool of the same shape: similarity >= alpha."""
    found: np.ndarray = similarities >= alpha
    return found


def precision_recall(similarities: np.ndarray, relevant: np.ndarray, alpha: float) -> tuple[float, float]:
    """Returns the share of recalled pairs that are relevant, and of relevant pairs that are recalled.

    Precision is 1 where nothing is recalled, recall 1 where nothing is relevant.
    """
    found = recalled(similarities, alpha)
    hits = int((found & relevant).sum())
    return (hits / int(found.sum()) if found.any() else 1.0), (hits / int(relevant.sum()) if relevant.any() else 1.0)


def choose_threshold(similarities: np.ndarray, relevant: np.ndarray, least_precision: float) -> Threshold:
    """Finds the alpha with the most recall among those that hold the precision; of equals the most precise.

    Args:
        similarities: float of any shape; -inf where a source cannot say.
        relevant: bool of the same shape.
        least_precision: 0 to 1.

    Raises:
        ValueError: the shapes differ, or the precision is no share.
    """
    if similarities.shape != relevant.shape:
        raise ValueError(f"{similarities.shape} similarities, {relevant.shape} labels; give one label each")
    if not 0 <= least_precision <= 1:
        raise ValueError(f"least_precision is {least_precision}; give a share from 0 to 1")
    known = np.isfinite(similarities)
    order = np.argsort(-similarities[known], kind="stable")
    values = np.round(similarities[known][order].astype(np.float64), _DECIMALS)
    right = relevant[known][order]
    # A threshold takes all of equal similarity: only the last place of each value is one.
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if len(values) else np.empty(0, np.int64)
    hits = np.cumsum(right)[last]
    precision, total = hits / (last + 1), int(relevant.sum())
    holding = np.flatnonzero((precision >= least_precision) & (hits > 0))
    if not len(holding):
        return Threshold(None, 0.0, 0.0, least_precision)
    best = holding[np.lexsort((-precision[holding], -hits[holding]))[0]]
    alpha = float(values[last[best]]) - 10.0**-_DECIMALS
    return Threshold(alpha, float(precision[best]), float(hits[best] / total), least_precision)


def validation_thresholds(
    sources: Mapping[str, Scorer], validation: EvalSet, settings: ThresholdSettings | None = None
) -> dict[str, Threshold]:
    """Chooses each source's alpha over all pairs of a validation user and a candidate that is not in their history."""
    settings = settings or ThresholdSettings()
    count = max(1, settings.pair_limit // max(1, len(validation.candidates)))
    cases = validation.cases[:count]
    relevant = np.zeros((len(cases), len(validation.candidates)), bool)
    allowed = np.tile(validation.candidates, (len(cases), 1))
    for place, case in enumerate(cases):
        relevant[place, case.targets] = True
        allowed[place, case.history.rows] = False
    chosen = {}
    for name, source in sources.items():
        scores = source.scores([case.history for case in cases])
        chosen[name] = choose_threshold(scores[allowed], relevant[allowed], settings.least_precision)
    return chosen


def save_thresholds(thresholds: Mapping[str, Threshold], path: Path) -> None:
    """Writes `thresholds.json`: by source alpha and what it gave on validation."""
    path.write_text(json.dumps({name: asdict(one) for name, one in thresholds.items()}, indent=1), encoding="utf-8")
