"""Asks the ranker on Triton for a request's candidates: features here, logits there, probabilities here."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.ranking.blend import TEXT_SOURCES
from core.ranking.features import UserSignals, rank_features
from core.ranking.fusion import best_rows
from core.ranking.tower_input import event_buckets
from core.retrieval.source import RecalledList
from server.deadline import Deadline
from server.models.ranker import Ranker
from server.stages.history import History
from server.stages.recall import Recalled
from server.stages.release import ServingRelease
from server.users.feature_log import ServedItems


@dataclass(frozen=True)
class RankInput:
    """Candidates ready to be ranked.

    Attributes:
        lists: what each source recalled, what is popular among them.
        rows: int64[C], the candidates.
        features: float32[B, W, F], scaled: the candidates in parts of W, a bucket; the places beyond C are zero.
        unscaled: float32[C, F], the features before scaling.
    """

    lists: tuple[RecalledList, ...]
    rows: np.ndarray
    features: np.ndarray
    unscaled: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """The ranker's answer.

    Attributes:
        logits: float32[C].
        probabilities: by row, 0 to 1.
        choices: by row, softmax of the logits, summing to 1.
    """

    logits: np.ndarray
    probabilities: Mapping[int, float]
    choices: Mapping[int, float]


@dataclass(frozen=True)
class Ranked:
    """Candidates and the ranker's answer."""

    candidates: RankInput
    ranking: Ranking


def rank_input(
    ranker: Ranker, history: History, recalled: Recalled, release: ServingRelease, listed: np.ndarray | None = None
) -> RankInput | None:
    """Makes the features of the candidates; None where there are no events to rank by, or nothing was recalled.

    Args:
        ranker: the release's.
        history: the events.
        recalled: the candidates.
        release: gives the sources that the ranker was trained on.
        listed: int64[C], the candidates where the caller listed them; None ranks the best that were recalled.
    """
    lists = tuple(found for found in recalled.lists if len(found.rows))
    if not len(history.events) or not (len(listed) if listed is not None else lists):
        return None
    if listed is None:
        # The sources that training took candidates from, and those that the request names; what the others found too
        # still stands in the provenance.
        pools = {*release.blend.list_lengths, *TEXT_SOURCES, *recalled.query.named}
        pooled = [found for found in lists if found.source in pools]
        rows, _ = best_rows(pooled or lists, ranker.most_candidates, release.sources.order)
    else:
        rows = listed
    user = UserSignals(recalled.query.user_embedding, None if ranker.facts.aspects is None else history.aspects)
    unscaled = rank_features(history.events, rows, ranker.facts, lists, user)
    features = ranker.scaling.scaler.apply(unscaled)
    return RankInput(lists, rows, in_parts(features, ranker.most_candidates), unscaled)


def served_items(ranked: Ranked, item_ids: Mapping[int, str], shown: Mapping[str, int]) -> ServedItems:
    """Returns what the ranker saw of the items that a reply shows.

    Args:
        ranked: its candidates and answer.
        item_ids: by row.
        shown: rank in the reply by item id, in their order.
    """
    rows = {item_ids[row]: place for place, row in enumerate(ranked.candidates.rows.tolist()) if row in item_ids}
    ids = tuple(item_id for item_id in shown if item_id in rows)
    places = [rows[item_id] for item_id in ids]
    return ServedItems(
        ids,
        tuple(shown[item_id] for item_id in ids),
        ranked.ranking.logits[places],
        ranked.candidates.unscaled[places],
    )


async def ask_ranker(ranker: Ranker, candidates: RankInput, deadline: Deadline) -> Ranking:
    """Asks Triton.

    Raises:
        ModelUnavailable, DeadlineExceeded: as `ServedModel.ask`.
    """
    logits = (await ranker.logits(candidates.features, deadline)).ravel()[: len(candidates.rows)]
    rows = candidates.rows.tolist()
    probabilities = ranker.scaling.probabilities(logits).tolist()
    choices = softmax(logits).tolist()
    return Ranking(logits, dict(zip(rows, probabilities, strict=True)), dict(zip(rows, choices, strict=True)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns float64[C], exp(l) / sum of exp(l)."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(initial=-np.inf))
    shares: np.ndarray = exponentials / exponentials.sum()
    return shares


def in_parts(features: np.ndarray, most: int) -> np.ndarray:
    """Returns float32[B, W, F] of float32[C, F]: one part in the smallest bucket, or several of the largest."""
    width = next(bucket for bucket in event_buckets(most) if bucket >= min(len(features), most))
    count = -(-len(features) // width)
    padded = np.zeros((count * width, features.shape[1]), np.float32)
    padded[: len(features)] = features
    return padded.reshape(count, width, -1)
