"""Metrics of rankings and probabilities over arrays. Full ranking, ties broken by item id.

Recall@k = hits / min(k, targets); NDCG@k is binary, log2 discount, the ideal cut at k (Jarvelin and Kekalainen 2002).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNREACHED = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Ranking:
    """Ranks of the targets of each case.

    Attributes:
        case: int64[M], ascending; which case a target belongs to. Every case has at least one.
        rank: int64[M], from 1; `UNREACHED` where the scorer could not say.
        auc: float64[B], the chance that a target stands above another candidate; NaN where there is no other.
    """

    case: np.ndarray
    rank: np.ndarray
    auc: np.ndarray

    def recall(self, k: int) -> np.ndarray:
        """Returns float64[B], hits among the first k / min(k, targets)."""
        found: np.ndarray = self._hits(k) / np.minimum(k, self._targets())
        return found

    def precision(self, k: int) -> np.ndarray:
        """Returns float64[B], hits among the first k / k."""
        return self._hits(k) / k

    def f1(self, k: int) -> np.ndarray:
        """Returns float64[B], 2 hits / (k + targets): the harmonic mean of precision and hits / targets."""
        found: np.ndarray = 2 * self._hits(k) / (k + self._targets())
        return found

    def hit_rate(self, k: int) -> np.ndarray:
        """Returns float64[B], 1 where any target is among the first k."""
        return (self._hits(k) > 0).astype(np.float64)

    def ndcg(self, k: int) -> np.ndarray:
        """Returns float64[B], sum of 1 / log2(1 + rank) over targets among the first k / the most there could be."""
        gain = np.where(self.rank <= k, discounts(k)[np.minimum(self.rank, k) - 1], 0.0)
        share: np.ndarray = np.bincount(self.case, gain, minlength=len(self.auc)) / ideal_gain(self._targets(), k)
        return share

    def reciprocal_rank(self) -> np.ndarray:
        """Returns float64[B], 1 / rank of the best target; 0 where none was reached."""
        best = np.full(len(self.auc), UNREACHED)
        np.minimum.at(best, self.case, self.rank)
        return np.where(best == UNREACHED, 0.0, 1.0 / best)

    def _hits(self, k: int) -> np.ndarray:
        return np.bincount(self.case, self.rank <= k, minlength=len(self.auc))

    def _targets(self) -> np.ndarray:
        return np.bincount(self.case, minlength=len(self.auc))


@dataclass(frozen=True)
class ReliabilityCurve:
    """Predicted against observed probabilities by bins of equal width: float64[bins], NaN if empty; int64 counts."""

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class ThresholdCurve:
    """Recall and precision of "everything at or above a threshold": float64[T] each, thresholds ascending."""

    threshold: np.ndarray
    recall: np.ndarray
    precision: np.ndarray


def discounts(depth: int) -> np.ndarray:
    """Returns float64[depth], the gain of a hit at each rank: 1 / log2(1 + rank), ranks from 1."""
    gains: np.ndarray = 1 / np.log2(np.arange(depth) + 2.0)
    return gains


def ideal_gain(target_counts: np.ndarray | int, depth: int) -> np.ndarray:
    """Returns float64[B], the gain of int64[B] targets (at least 1) that fill the first ranks down to `depth`."""
    gains: np.ndarray = np.cumsum(discounts(depth))[np.minimum(target_counts, depth) - 1]
    return gains


def binary_ndcg(hits: np.ndarray, target_counts: np.ndarray | int, depth: int) -> np.ndarray:
    """Returns float64[B], NDCG@depth of lists.

    Args:
        hits: bool[B, k], k <= depth, whether the item at each rank is a target; bool[k] for one list.
        target_counts: int64[B], at least 1; targets that no list holds count too. A number for one list.
        depth: the list length that the ideal is cut at.
    """
    share: np.ndarray = (hits @ discounts(depth)[: hits.shape[-1]]) / ideal_gain(target_counts, depth)
    return share


def id_places(item_ids: Sequence[str]) -> np.ndarray:
    """Returns int64[n], each row's place among the ids sorted as strings: what breaks ties."""
    places = np.empty(len(item_ids), np.int64)
    places[sorted(range(len(item_ids)), key=item_ids.__getitem__)] = np.arange(len(item_ids))
    return places


def rank_targets(scores: np.ndarray, allowed: np.ndarray, targets: Sequence[np.ndarray], places: np.ndarray) -> Ranking:
    """Finds the ranks of targets among all allowed rows.

    Args:
        scores: float[B, n], higher is better, -inf where the scorer cannot say.
        allowed: bool[B, n], rows that may be recommended; a target that may not is unreached.
        targets: B times int64[T], T >= 1, distinct rows.
        places: int64[n] from `id_places`; of equal scores the lower place comes first.
    """
    scores = np.where(allowed, scores, -np.inf)
    counts = np.array([len(rows) for rows in targets], np.int64)
    case, row = np.repeat(np.arange(len(targets)), counts), np.concatenate([*targets, np.empty(0, np.int64)])
    own = scores[case, row]
    above, equal = _standing(scores, targets)
    earlier = np.zeros(len(case), np.int64)
    for place in np.flatnonzero((equal > 1) & (own > -np.inf)):
        tied = scores[case[place]] == own[place]
        earlier[place] = (places[tied] < places[row[place]]).sum()
    rivals_count = allowed.sum(axis=1)
    equal = np.where(own > -np.inf, equal, rivals_count[case] - above)
    rank = np.where(own > -np.inf, 1 + above + earlier, UNREACHED)
    # Mann-Whitney: the pairs of two targets, which each count once, are taken off.
    wins = np.where(allowed[case, row], rivals_count[case] - above - equal + 0.5 * (equal - 1), 0.0)
    reachable = np.bincount(case, allowed[case, row], minlength=len(targets))
    others = rivals_count - reachable
    won = np.bincount(case, wins, minlength=len(targets)) - reachable * (reachable - 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = np.where(others > 0, won / (counts * others), np.nan)
    return Ranking(case, rank.astype(np.int64), auc)


def _standing(scores: np.ndarray, targets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64[M] twice: how many rows of its case stand above each target, and how many equal it."""
    ascending = np.sort(scores, axis=1)
    above, equal = [], []
    for case, rows in enumerate(targets):
        first, last = (np.searchsorted(ascending[case], scores[case, rows], side) for side in ("left", "right"))
        above.append(scores.shape[1] - last)
        equal.append(last - first)
    return np.concatenate([*above, np.empty(0, np.int64)]), np.concatenate([*equal, np.empty(0, np.int64)])


def top_rows_by_case(scores: np.ndarray, allowed: np.ndarray, places: np.ndarray, k: int) -> np.ndarray:
    """Returns int64[B, k], the best allowed rows of each case, best first, -1 where there are no more.

    Arguments as of `rank_targets`.
    """
    k = min(k, scores.shape[1])
    scores = np.where(allowed, scores, -np.inf)
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    edge = np.take_along_axis(scores, top, axis=1).min(axis=1)
    # Where more rows share the last score than fit, the partition chose any of them.
    for case in np.flatnonzero((scores >= edge[:, None]).sum(axis=1) > k):
        above = np.flatnonzero(scores[case] > edge[case])
        same = np.flatnonzero(scores[case] == edge[case])
        top[case] = np.concatenate([above, same[np.argsort(places[same])][: k - len(above)]])
    found = np.take_along_axis(scores, top, axis=1)
    order = np.lexsort((places[top], -found), axis=1)
    top, found = np.take_along_axis(top, order, axis=1), np.take_along_axis(found, order, axis=1)
    return np.where(found > -np.inf, top, -1)


def coverage(top: np.ndarray, candidates: np.ndarray) -> float:
    """Returns the share of bool[n] candidates that any list of int64[B, k] (-1 for none) holds."""
    return len(np.unique(top[top >= 0])) / max(1, int(candidates.sum()))


def intra_list_diversity(top: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns float64[B], 1 - mean cosine over the pairs of a list; NaN for fewer than two items.

    Args:
        top: int64[B, k], rows, -1 for none.
        vectors: float[n, d], unit or zero.
    """
    there = top >= 0
    listed = vectors[np.maximum(top, 0)] * there[:, :, None]
    total = listed.sum(axis=1, dtype=np.float64)
    count = there.sum(axis=1)
    together = (total**2).sum(axis=1) - (listed.astype(np.float64) ** 2).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 1, 1 - together / (count * (count - 1)), np.nan)


def novelty(top: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns float64[B], the mean of -log2 p over a list, p = (count + 1) / (all counts + n); NaN for empty lists.

    Args:
        top: int64[B, k], rows, -1 for none.
        counts: float[n], how often each row was chosen in training; one more each, so that new items have a figure.
    """
    surprise = -np.log2((counts + 1.0) / (counts.sum() + len(counts)))
    there = top >= 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: np.ndarray = (surprise[np.maximum(top, 0)] * there).sum(axis=1) / there.sum(axis=1)
    return mean


def brier(predicted: np.ndarray, happened: np.ndarray) -> float:
    """Returns the mean squared distance between float[m] probabilities and bool[m] outcomes (Brier 1950)."""
    return float(np.mean((predicted.astype(np.float64) - happened) ** 2)) if len(predicted) else float("nan")


def reliability(predicted: np.ndarray, happened: np.ndarray, bin_count: int = 10) -> ReliabilityCurve:
    """Sorts float[m] probabilities into bins of equal width and compares them with bool[m] outcomes."""
    bins = np.minimum((predicted * bin_count).astype(np.int64), bin_count - 1)
    count = np.bincount(bins, minlength=bin_count)
    with np.errstate(invalid="ignore"):
        means = np.bincount(bins, predicted, minlength=bin_count) / count
        return ReliabilityCurve(means, np.bincount(bins, happened, minlength=bin_count) / count, count)


def auc(scores: np.ndarray, happened: np.ndarray) -> float:
    """Returns the chance that float[m] is higher where bool[m] is true than where not; ties half, NaN for one kind."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    mean_rank = ends - (count - 1) / 2
    positive = int(happened.sum())
    negative = len(happened) - positive
    if not positive or not negative:
        return float("nan")
    return float((mean_rank[place[happened]].sum() - positive * (positive + 1) / 2) / (positive * negative))


def threshold_curve(
    target_counts: np.ndarray, all_counts: np.ndarray, edges: np.ndarray, target_total: int
) -> ThresholdCurve:
    """Makes the curve from histograms of scores, so that not every score need be kept.

    Args:
        target_counts: int[T], targets with a score in [edges[t], edges[t + 1]).
        all_counts: int[T], all allowed rows likewise.
        edges: float[T + 1], ascending.
        target_total: all targets, those that were not scored too.
    """
    hits, listed = (np.cumsum(counts[::-1])[::-1] for counts in (target_counts, all_counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(listed > 0, hits / listed, np.nan)
    return ThresholdCurve(edges[:-1], hits / max(1, target_total), precision)
