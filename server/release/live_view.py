"""A release as requests see it over the live catalogue: what changed since it was built counts everywhere."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.ranking.blend import PRIOR
from core.ranking.item_facts import ItemFacts
from core.ranking.live_facts import live_facts
from core.retrieval.fill import FillSource
from core.retrieval.fresh import FreshSource, dates_of
from core.retrieval.lexical import LexicalSource
from core.retrieval.live_lexical import LiveLexicalIndex
from core.retrieval.popular import PopularSource
from core.retrieval.semantic import SemanticHistorySource, SemanticTextSource
from core.retrieval.source import RecallSource, SourceQuery, SourceScores, known_rows
from core.scaling import Population
from domain.item import Item
from domain.manifest import Manifest
from domain.recommendation import Source
from domain.text import item_text
from server.catalogue.change import digest_of
from server.catalogue.change_group import Embedding
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue.segment import BaseSegment
from server.models.ranker import Ranker
from server.release.live_release import LiveRelease


def live_view(release: LiveRelease, catalogue: LiveCatalogue) -> LiveRelease:
    """Returns a release over a live catalogue at one moment."""
    if not catalogue.view.items.end:
        return release
    facts = _LiveFacts(catalogue)
    tower = release.user_tower
    return replace(
        release,
        catalogue=catalogue,
        sources=replace(release.sources, sources=_sources(release, catalogue), order=catalogue.order),
        fill=_LiveFill(catalogue),
        ranker=facts.of(release.ranker),
        text_ranker=facts.of(release.text_ranker),
        user_tower=None if tower is None else replace(tower, content=facts.vectors),
    )


def encoder_key(manifest: Manifest) -> str:
    """Returns what two releases have in common that give an item the same vector."""
    encoder, template = manifest.encoder, manifest.template
    parts = (
        encoder.source_sha256,
        encoder.precision,
        encoder.passage_prompt,
        str(encoder.max_tokens),
        *(template.part_separator, template.value_separator, *template.item_attributes),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def embedding_of(release: LiveRelease) -> Embedding:
    """Returns by what the changes of a catalogue are decided under a release."""
    template = release.template
    return Embedding(encoder_key(release.manifest), lambda item: digest_of(item_text(item, template)))


def base_segment(release: LiveRelease) -> BaseSegment:
    """Returns what a release holds of its items."""
    return BaseSegment(release.data.items, release.content, release.data.lexical)


def _sources(release: LiveRelease, catalogue: LiveCatalogue) -> tuple[RecallSource, ...]:
    """Returns the sources: those of vectors, words and dates over the live catalogue, trained ones as they are."""
    segment, view = catalogue.segment, catalogue.view
    lexical = LiveLexicalIndex(segment.base.lexical, segment.words, view.words, catalogue.order)
    instead: dict[str, RecallSource] = {
        Source.SEMANTIC_TEXT.value: SemanticTextSource(catalogue),
        Source.SEMANTIC_HISTORY.value: SemanticHistorySource(catalogue),
        Source.LEXICAL.value: LexicalSource(lexical),
        Source.FRESH.value: _LiveFresh(catalogue, release.data.appeared_s, release.sources.get(PRIOR)),
    }
    found = [instead.pop(source.name, source) for source in release.sources]
    fresh = instead.get(Source.FRESH.value)
    return (*found, fresh) if fresh is not None else tuple(found)


@dataclass(frozen=True)
class _LiveFacts:
    """Facts about items of a live catalogue."""

    catalogue: LiveCatalogue

    @cached_property
    def vectors(self) -> np.ndarray:
        """Stand-in for float32[n, d]."""
        content = self.catalogue.segment.base.content
        facts = live_facts(
            ItemFacts(count=len(content.vectors), vectors=content.vectors),
            self.catalogue.view.row_count,
            self.catalogue.vectors_of,
            self._changed,
        )
        assert facts.vectors is not None
        return facts.vectors

    def of(self, ranker: Ranker | None) -> Ranker | None:
        """Returns a ranker over the live catalogue."""
        if ranker is None:
            return None
        catalogue = self.catalogue
        facts = live_facts(ranker.facts, catalogue.view.row_count, catalogue.vectors_of, self._changed)
        return replace(ranker, facts=facts)

    def _changed(self, rows: np.ndarray) -> tuple[np.ndarray, list[Item]]:
        entries = self.catalogue.view.items.entries_of(rows)
        changed = entries >= 0
        stored = [self.catalogue.segment.stored(entry) for entry in entries[changed].tolist()]
        return changed, [one.item or Item("", "", "") for one in stored]


@dataclass(frozen=True)
class _LiveFill:
    """Items that the encoder cannot read, see `FillSource`."""

    catalogue: LiveCatalogue
    name: str = Source.FILL.value

    @cached_property
    def _source(self) -> FillSource:
        return FillSource(self.catalogue.unreadable, order=self.catalogue.order)

    def can_answer(self, query: SourceQuery) -> bool:
        """See `FillSource.can_answer`."""
        return query.text_vector is not None or query.history_vector is not None

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `FillSource.search`."""
        return self._source.search(query, count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `FillSource.scores`."""
        return self._source.scores(query, rows, population)


class _LiveFresh(FreshSource):
    """New items of a live catalogue; put in order when they are asked for."""

    def __init__(self, catalogue: LiveCatalogue, appeared_s: np.ndarray, popular: RecallSource | None) -> None:
        """Takes float64[n], when each item of the release appeared, NaN where it is unknown."""
        self._catalogue = catalogue
        self._appeared_s = appeared_s
        self._popular = popular

    @cached_property
    def _source(self) -> FreshSource | None:
        catalogue = self._catalogue
        appeared_s = catalogue.first_seen_s(self._appeared_s)
        dates = dates_of(catalogue.attribute_types, catalogue.numbers, appeared_s)
        if dates is None:
            return None
        if not isinstance(self._popular, PopularSource):
            return FreshSource(dates, now_s=catalogue.now_s, order=catalogue.order)
        prior = self._popular.log_prior
        # Nobody chose what came later.
        known = known_rows(prior, np.arange(len(appeared_s)), float(prior.min()))
        return FreshSource(dates, known, catalogue.now_s, catalogue.order)

    def new_items(self, within_s: float | None, now_s: float) -> np.ndarray:
        """See `FreshSource.new_items`."""
        if self._source is None:
            return np.zeros(self._catalogue.view.row_count, bool)
        return self._source.new_items(within_s, now_s)

    def can_answer(self, query: SourceQuery) -> bool:
        """See `FreshSource.can_answer`."""
        if not (query.is_empty or self.name in query.named):
            return False
        return self._source is not None and self._source.can_answer(query)

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `FreshSource.search`."""
        assert self._source is not None
        return self._source.search(query, count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `FreshSource.scores`."""
        assert self._source is not None
        return self._source.scores(query, rows, population)
