"""The recall threshold alpha of each source: what is at least so similar is recalled (T2), chosen on validation."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from domain.progress import Progress, SilentProgress
from training.splits.split import EvalSet, Scorer

# Similarities that lie closer are equal: those of one pair differ by less between training and a gateway.
_DECIMALS = 6
# Pairs of a user and an item whose scores are held at once.
_PAIRS_AT_ONCE = 2_000_000


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


def _best(values: np.ndarray, hits: np.ndarray, listed: np.ndarray, total: int, least_precision: float) -> Threshold:
    """Returns the best of some thresholds.

    Args:
        values: float64[m], the thresholds.
        hits: int64[m], right pairs that each recalls.
        listed: int64[m], pairs that each recalls, at least 1.
        total: right pairs.
        least_precision: of those that hold it the one of most recall is the best, of equals the most precise.
    """
    precision = hits / listed
    holding = np.flatnonzero((precision >= least_precision) & (hits > 0))
    if not len(holding):
        return Threshold(None, 0.0, 0.0, least_precision)
    best = holding[np.lexsort((-precision[holding], -hits[holding]))[0]]
    alpha = float(values[best]) - 10.0**-_DECIMALS
    return Threshold(alpha, float(precision[best]), float(hits[best] / total), least_precision)


def validation_thresholds(
    sources: Mapping[str, Scorer],
    validation: EvalSet,
    settings: ThresholdSettings | None = None,
    progress: Progress | None = None,
) -> dict[str, Threshold]:
    """Chooses each source's alpha over all pairs of a validation user and a candidate that is not in their history.

    The best alpha is always the similarity of a right pair. These are gathered first; then the pairs that reach each of
    them are counted, some cases at a time, so that memory does not grow with the cases.
    """
    settings, progress = settings or ThresholdSettings(), progress or SilentProgress()
    count = max(1, settings.pair_limit // max(1, len(validation.candidates)))
    part = EvalSet(validation.cases[:count], validation.candidates)
    return {name: _streamed(source, part, settings.least_precision, progress, name) for name, source in sources.items()}


def _streamed(source: Scorer, part: EvalSet, least_precision: float, progress: Progress, name: str) -> Threshold:
    hits: list[np.ndarray] = [np.empty(0, np.float64)]
    total = 0
    with progress.track(f"threshold of {name}", 2 * len(part.cases), "cases") as advance:
        for scores, allowed, relevant in _chunks(source, part):
            found = scores[relevant & allowed]
            hits.append(_rounded(found))
            total += int((relevant & allowed).sum())
            advance(len(scores))
        values, right = np.unique(np.concatenate(hits), return_counts=True)
        reached = np.zeros(len(values) + 1, np.int64)
        for scores, allowed, _ in _chunks(source, part):
            places = np.searchsorted(values, _rounded(scores[allowed]), side="right")
            reached += np.bincount(places, minlength=len(values) + 1)
            advance(len(scores))
    listed = np.cumsum(reached[::-1])[::-1][1:]
    return _best(values, np.cumsum(right[::-1])[::-1], listed, total, least_precision)


def _rounded(scores: np.ndarray) -> np.ndarray:
    """Returns float64[k], the finite ones of float[m], rounded."""
    known: np.ndarray = np.round(scores[np.isfinite(scores)].astype(np.float64), _DECIMALS)
    return known


def _chunks(source: Scorer, part: EvalSet) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields float[b, n] scores, bool[b, n] pairs that count and bool[b, n] right pairs of some cases."""
    step = max(1, _PAIRS_AT_ONCE // max(1, len(part.candidates)))
    for start in range(0, len(part.cases), step):
        cases = part.cases[start : start + step]
        scores = source.scores([case.history for case in cases])
        relevant = np.zeros(scores.shape, bool)
        allowed = np.tile(part.candidates, (len(cases), 1))
        for place, case in enumerate(cases):
            relevant[place, case.targets] = True
            allowed[place, case.history.rows] = False
        yield scores, allowed, relevant


def save_thresholds(thresholds: Mapping[str, Threshold], path: Path) -> None:
    """Writes `thresholds.json`: by source alpha and what it gave on validation."""
    path.write_text(json.dumps({name: asdict(one) for name, one in thresholds.items()}, indent=1), encoding="utf-8")
