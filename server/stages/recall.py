"""Asks sources for candidates. Runs in a worker thread: the indexes release the GIL."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.ranking.blend import PRIOR, TEXT_SOURCES, list_length
from core.ranking.text_blend import TEXT_DEPTH
from core.retrieval.collaborative import CollaborativeSource, unusable_as_proxy
from core.retrieval.lexical import LexicalSource
from core.retrieval.proxy_history import ProxyHistory, find_proxy_history
from core.retrieval.source import DEFAULT_LIST_LENGTH, RecalledList, RecallSource, SourceQuery, recall_lists
from domain.recommendation import RecommendQuery, Source
from server.stages.history import History
from server.stages.release import ServingRelease
from server.stages.represent import Represented

# Items that each source recalls where the first lists were too short for the list that is asked for.
DEEPER = (1_280, 12_800)


@dataclass(frozen=True)
class Recalled:
    """The sources' candidates.

    Attributes:
        query: what the sources were asked, with the proxy history of a history that is only text.
        lists: one list a source.
        below_threshold: what the sources found below their thresholds; for a list that is too short.
        exhausted: whether longer lists would bring nothing more.
    """

    query: SourceQuery
    lists: tuple[RecalledList, ...]
    below_threshold: tuple[RecalledList, ...] = ()
    exhausted: bool = False

    @property
    def is_proxy(self) -> bool:
        """True where known items take the place of a history that is only text."""
        return self.query.proxy_history is not None


@dataclass(frozen=True)
class RecallRequest:
    """One request as the sources are asked.

    Attributes:
        query: vectors, words and events; with the proxy history of a history that is only text.
        by_text: whether the text decides who may appear.
        judged: whether a ranker judges each candidate.
        sources: that a history is looked up in; None for all.
    """

    query: SourceQuery
    by_text: bool
    judged: bool
    sources: frozenset[str] | None = None

    @property
    def corrected_text(self) -> str:
        """The text that is matched by words; empty where it is matched as it was written."""
        return "" if self.query.lexical is None else self.query.lexical.corrected_text

    def by_all_sources(self) -> "RecallRequest":
        """Returns the request as if no sources were named."""
        return replace(self, query=replace(self.query, named=frozenset()), sources=None)

    @classmethod
    def of(
        cls, query: RecommendQuery, history: History, represented: Represented, release: ServingRelease
    ) -> "RecallRequest":
        """Prepares a request for its sources, and parses its words; not on the event loop."""
        by_text = represented.by_text
        source_query = represented.query if by_text else _with_proxy_history(represented.query, history, release)
        lexical = release.sources.get(Source.LEXICAL.value)
        if represented.words and isinstance(lexical, LexicalSource):
            parsed = lexical.index.parse(represented.words, correct=not query.exact_spelling)
            source_query = replace(source_query, lexical=parsed)
        judged = release.ranker is not None and bool(len(history.events)) and not by_text
        if by_text or query.sources is None:
            return cls(source_query, by_text, judged)
        return cls(replace(source_query, named=query.sources), by_text, judged, query.sources)


def recall(request: RecallRequest, release: ServingRelease, blocked: np.ndarray, deeper: int = 0) -> Recalled:
    """Returns each source's candidates; blocked items are in none of them.

    Args:
        request: what is asked.
        release: whose sources are asked.
        blocked: bool[n].
        deeper: 0 for the first lists, then one for each length of `DEEPER`. A list's length never depends on how many
            items the caller asks for, so that a longer answer begins with the shorter one.
    """
    sources = [source for source in release.sources.answering(request.query) if _recalls(source, request, release)]
    if deeper:
        lengths = {source.name: DEEPER[deeper - 1] for source in sources}
    else:
        least = TEXT_DEPTH if request.by_text else DEFAULT_LIST_LENGTH
        lengths = {source.name: list_length(release.blend, source.name, least) for source in sources}
        if PRIOR in lengths:
            lengths[PRIOR] = release.blend.list_lengths.get(PRIOR, DEFAULT_LIST_LENGTH)
    lists = recall_lists(sources, request.query, lengths, blocked)
    exhausted = all(len(found.rows) < lengths[found.source] for found in lists)
    # Where a ranker judges each candidate, no source needs to be cut off for its precision. The thresholds of whole
    # histories say nothing of what a few proxy items' neighbours sum up to.
    cut = not request.judged and request.query.proxy_history is None
    above, below = _divided(lists, release.thresholds if cut else {})
    return Recalled(request.query, above, below, exhausted)


def _recalls(source: RecallSource, request: RecallRequest, release: ServingRelease) -> bool:
    """Returns whether a source finds candidates: the text's where there is a text, else the history's."""
    if request.by_text:
        return source.name in TEXT_SOURCES
    if request.sources is not None:
        # A history that is only text is matched by its words too.
        return source.name in request.sources or source.name == Source.LEXICAL
    if source.name == PRIOR:
        return request.judged or release.blend.weights_for(request.query).get(PRIOR, 0.0) > 0
    return True


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


def _divided(
    lists: list[RecalledList], thresholds: Mapping[str, float]
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
