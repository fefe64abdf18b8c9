"""Asks every source that can answer for candidates. Runs in a worker thread: the indexes release the GIL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.ranking.blend import PRIOR, list_length
from core.ranking.fusion import Candidate, SourceView, fuse
from core.retrieval.collaborative import CollaborativeSource, unusable_as_proxy
from core.retrieval.proxy_history import ProxyHistory, find_proxy_history
from core.retrieval.source import DEFAULT_LIST_LENGTH, RecalledList, SourceQuery, recall_lists
from domain.recommendation import RecommendQuery, Source
from server.stages.history import History
from server.stages.release import ServingRelease
from server.stages.represent import Represented

# Where lists are joined, each must reach deeper than k: what is tenth in both can be first together.
_DEPTH_FACTOR = 4
_FILL_STEP = 1e-6


@dataclass(frozen=True)
class Recalled:
    """The sources' candidates.

    Attributes:
        query: what the sources were asked, with the proxy history of a history that is only text.
        lists: one list a source.
        below_threshold: what the sources found below their thresholds; for a list that is too short.
        popular: rows that were chosen by many; for a list that is too short, before what is below a threshold.
        fill: rows that no vector can speak for; for the end of a list that is too short.
    """

    query: SourceQuery
    lists: tuple[RecalledList, ...]
    below_threshold: tuple[RecalledList, ...]
    popular: RecalledList
    fill: RecalledList

    @property
    def is_proxy(self) -> bool:
        """True where known items take the place of a history that is only text."""
        return self.query.proxy_history is not None


def recall(query: RecommendQuery, history: History, represented: Represented, release: ServingRelease) -> Recalled:
    """Returns each source's candidates; blocked items are in none of them.

    Raises:
        InvalidRequest: a condition does not fit the catalogue's attributes.
    """
    blocked = _blocked(query, history, release)
    source_query = _with_proxy_history(represented.query, history, release)
    sources = [source for source in release.sources.answering(source_query) if source.name != PRIOR]
    # What suits the caller's comments, or what is popular too, may move up into the list from below.
    single = len(sources) == 1 and not history.comments and source_query.proxy_history is None
    # The ranker was trained on candidates of that depth.
    depths = {
        source.name: query.k
        if single
        else list_length(release.blend, source.name, max(DEFAULT_LIST_LENGTH, _DEPTH_FACTOR * query.k))
        for source in sources
    }
    lists = recall_lists(sources, source_query, depths, blocked)
    # Where a ranker judges each candidate, no source needs to be cut off for its precision. The thresholds of whole
    # histories say nothing of what a few proxy items' neighbours sum up to.
    judged = source_query.proxy_history is not None or (release.ranker is not None and len(history.events))
    above, below = _divided(lists, {} if judged else release.thresholds)
    fill, count = release.fill, len(blocked)
    return Recalled(
        source_query,
        above,
        below,
        _popular(release, source_query, query.k, blocked),
        RecalledList(fill.name, *fill.search(source_query, count, blocked))
        if fill.can_answer(source_query)
        else RecalledList(fill.name, np.empty(0, np.int64), np.empty(0, np.float32)),
    )


def _with_proxy_history(query: SourceQuery, history: History, release: ServingRelease) -> SourceQuery:
    """Adds the proxy history of a history that is only text.

    None where there are events or the encoder did not read the history, where the caller asked for similarity to what
    it says, or where nothing was fitted for such histories: then similarity alone answers.
    """
    proxy = release.blend.proxy
    if proxy is None or len(history.events) or history.read_as_text or query.history_vector is None:
        return query
    collaborative = release.sources.get(Source.COLLABORATIVE.value)
    if not proxy.weights.get(Source.COLLABORATIVE) or not isinstance(collaborative, CollaborativeSource):
        empty = ProxyHistory(np.empty(0, np.int64), np.empty(0))
        return replace(query, proxy_history=empty)
    unusable = unusable_as_proxy(collaborative, len(collaborative))
    proxies = find_proxy_history(query.history_vector, release.catalogue, unusable, proxy.nearest, proxy.temperature)
    return replace(query, proxy_history=proxies)


def with_fill(candidates: list[Candidate], recalled: Recalled, count: int) -> list[Candidate]:
    """Lengthens a list that is too short: what is popular, what is below a threshold, then what is unreadable.

    Scores go on falling, except that unreadable items, in catalogue order, share one.
    """
    listed = {candidate.row for candidate in candidates}
    filled = list(candidates)
    for candidate in (*_candidates_of(recalled.popular), *fuse(recalled.below_threshold, count + len(listed))):
        if len(filled) >= count:
            return filled
        if candidate.row not in listed:
            listed.add(candidate.row)
            filled.append(Candidate(candidate.row, _filler_bound(filled) - _FILL_STEP, candidate.views))
    if len(filled) >= count or not len(recalled.fill.rows):
        return filled
    rows = [row for row in recalled.fill.rows.tolist() if row not in listed][: count - len(filled)]
    score, name = _filler_bound(filled), recalled.fill.source
    fill = (Candidate(row, score, (SourceView(name, place, 0.0),)) for place, row in enumerate(rows, start=1))
    return [*filled, *fill]


def _filler_bound(candidates: Sequence[Candidate]) -> float:
    """Returns the upper bound for scores of filler items."""
    return min([0.0, *(candidate.score for candidate in candidates[-1:])])


def _candidates_of(recalled: RecalledList) -> list[Candidate]:
    pairs = zip(recalled.rows.tolist(), recalled.scores.tolist(), strict=True)
    return [
        Candidate(row, score, (SourceView(recalled.source, place, score),))
        for place, (row, score) in enumerate(pairs, start=1)
    ]


def _popular(release: ServingRelease, query: SourceQuery, count: int, blocked: np.ndarray) -> RecalledList:
    """Returns twice as many as are asked for, since some of them may be in the list already."""
    popular = release.sources.get(PRIOR)
    if popular is None:
        return RecalledList(PRIOR, np.empty(0, np.int64), np.empty(0, np.float32))
    depth = release.blend.list_lengths.get(PRIOR, 0)
    return RecalledList(PRIOR, *popular.search(query, max(2 * count, depth), blocked))


def _divided(
    lists: Sequence[RecalledList], thresholds: Mapping[str, float]
) -> tuple[tuple[RecalledList, ...], tuple[RecalledList, ...]]:
    """Returns the lists down to their sources' thresholds, and what lies below."""
    above, below = [], []
    for recalled in lists:
        alpha = thresholds.get(recalled.source, -np.inf)
        end = int((recalled.scores >= alpha).sum())
        above.append(RecalledList(recalled.source, recalled.rows[:end], recalled.scores[:end]))
        if end < len(recalled.rows):
            below.append(RecalledList(recalled.source, recalled.rows[end:], recalled.scores[end:]))
    return tuple(above), tuple(below)


def _blocked(query: RecommendQuery, history: History, release: ServingRelease) -> np.ndarray:
    """Returns bool[n]: unavailable, excluded, seen, or failing a condition."""
    blocked = release.catalogue.blocked_by(query.conditions)
    blocked[list(release.catalogue.rows_of(query.exclude_item_ids).values())] = True
    blocked[list(history.disliked_rows if query.include_seen else history.seen_rows)] = True
    return blocked
