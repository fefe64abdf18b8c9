"""The recall sources fitted to training histories, and the item facts that they leave to the ranker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

import numpy as np

from core.events import EventSequence
from core.ranking.blend import LIST_LENGTHS, PRIOR
from core.ranking.item_facts import ItemFacts
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.next_item import NextItemSource
from core.retrieval.popular import PopularSource
from core.retrieval.registry import TABLE_SOURCES
from core.retrieval.semantic import SemanticHistorySource
from core.retrieval.source import RecallSource, RecallSources, SourceQuery, SourceScores, TableSource
from core.retrieval.user_tower import UserTowerSource
from core.retrieval.vector_store import VectorStore
from core.scaling import Population, ScoreScaler
from domain.progress import Progress
from training.collaborative.als import AlsSettings
from training.collaborative.ease import EaseSettings, fit_ease
from training.collaborative.low_rank import add_low_rank
from training.collaborative.neighbours import NeighbourScorer, fit_item_neighbours
from training.collaborative.popularity import PopularitySettings, fit_popularity
from training.collaborative.transitions import TransitionSettings, fit_transitions
from training.encoder.semantic import SemanticScorer
from training.splits.short_histories import little_known
from training.splits.split import EvalSet
from training.splits.validation import best_on_scale, best_setting


class Tower(Protocol):
    """A user tower as recall needs it: a score is the inner product of a user and an item."""

    def item_vectors(self) -> np.ndarray:
        """Returns float32[n, e], unit; zeros for an item that it knows nothing of."""

    def user_vectors(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, e], unit; zeros for an empty history."""


@dataclass(frozen=True)
class RecallSettings:
    """Settings of the sources: how they are fitted, and how many items each recalls.

    Attributes:
        ease: of the collaborative model.
        side_weight: weight of the content vectors in the collaborative model, in users; 0 leaves them out.
        side_tried: weights of content that `choose_recall` compares.
        impression_weights_tried: weights of what was met but not chosen that it compares.
        low_rank: how much low-rank weights count beside EASE's, by the spread of their scores; 0 leaves them out.
        low_rank_tried: such weights that it compares.
        als: of the low-rank weights.
        popularity: of the prior.
        transitions: of what follows what.
        neighbour_count: neighbours kept by item for serving.
        list_lengths: items that each source recalls, by its name.
    """

    ease: EaseSettings = field(default_factory=lambda: EaseSettings(100.0, impression_weight=0.5))
    side_weight: float = 30.0
    side_tried: tuple[float, ...] = field(default=(0.0, 30.0, 100.0), repr=False)
    impression_weights_tried: tuple[float, ...] = field(default=(0.0, 0.5), repr=False)
    low_rank: float = 0.5
    low_rank_tried: tuple[float, ...] = field(default=(0.0, 0.5, 1.0), repr=False)
    als: AlsSettings = field(default_factory=lambda: AlsSettings(factors=128))
    popularity: PopularitySettings = field(default_factory=PopularitySettings)
    transitions: TransitionSettings = field(default_factory=TransitionSettings)
    neighbour_count: int = 500
    list_lengths: Mapping[str, int] = field(default_factory=lambda: dict(LIST_LENGTHS))


@dataclass(frozen=True)
class FittedSources:
    """The recall sources of one training, as a gateway has them.

    Attributes:
        facts: item facts with the tables, the prior and the tower's vectors filled in.
        tables: the sources that a release carries as files, by name.
        sources: all that answer a history.
        content: content vectors; None without texts.
        tower: None where none was trained.
        list_lengths: items that each source recalls for the ranker.
    """

    facts: ItemFacts
    tables: Mapping[str, TableSource]
    sources: RecallSources
    content: SemanticScorer | None
    tower: Tower | None
    list_lengths: Mapping[str, int]

    @classmethod
    def of(
        cls,
        facts: ItemFacts,
        tables: Mapping[str, TableSource],
        tower: Tower | None,
        list_lengths: Mapping[str, int],
    ) -> "FittedSources":
        """Puts the sources together; `facts` are those that need no training."""
        popular = tables[PRIOR]
        assert isinstance(popular, PopularSource)
        filled = facts.with_tables(tables)
        content = None if facts.vectors is None else SemanticScorer.of(facts.vectors)
        found: list[RecallSource] = []
        if content is not None:
            found.append(SemanticHistorySource(_store(content.vectors)))
        if tower is not None:
            filled = replace(filled, tower_vectors=tower.item_vectors())
            found.append(UserTowerSource(_store(filled.tower_vectors)))
        sources = RecallSources((*found, *tables.values()), Population.of(popular.chosen))
        return cls(filled, tables, sources, content, tower, list_lengths)

    @property
    def popular(self) -> PopularSource:
        """The prior."""
        found = self.tables[PRIOR]
        assert isinstance(found, PopularSource)
        return found

    @property
    def neighbours(self) -> NeighbourTable:
        """The collaborative table."""
        found = self.tables[CollaborativeSource.name]
        assert isinstance(found, CollaborativeSource)
        return found.table

    def queries(self, histories: Sequence[EventSequence]) -> list[SourceQuery]:
        """Returns what each history offers to the sources."""
        vectors = None if self.content is None else self.content.queries(histories)
        users = None if self.tower is None else self.tower.user_vectors(histories)
        return [
            SourceQuery(
                history_vector=None if vectors is None or not vectors[place].any() else vectors[place],
                events=history,
                user_embedding=None if users is None or not users[place].any() else users[place],
            )
            for place, history in enumerate(histories)
        ]

    def source_scores(self, histories: Sequence[EventSequence]) -> dict[str, list[SourceScores]]:
        """Returns each source's scores of the whole catalogue, by source name and in the order of the histories.

        A source that cannot answer a history scores nothing in it.
        """
        queries, rows = self.queries(histories), np.arange(self.facts.count)
        nothing = SourceScores(np.full(len(rows), -np.inf, np.float32), ScoreScaler(0.0, 0.0, 0.0))
        return {
            source.name: [
                source.scores(query, rows, self.sources.population) if source.can_answer(query) else nothing
                for query in queries
            ]
            for source in self.sources
        }


def _store(vectors: np.ndarray | None) -> VectorStore:
    assert vectors is not None
    return VectorStore(vectors, np.asarray(~vectors.any(axis=1)))


@dataclass(frozen=True)
class RecallRecipe:
    """Recipe that fits the sources on any histories, also without those that are asked about.

    Attributes:
        facts: facts that need no training: attributes, content vectors.
        settings: of the sources.
        tower_of: trains a user tower on histories and content vectors, or hands out one that is trained; None for none.
        content_of: fits content vectors, float32[n, d], to histories; None where those of `facts` know nobody.
    """

    facts: ItemFacts
    settings: RecallSettings = field(default_factory=RecallSettings)
    tower_of: Callable[[Sequence[EventSequence], np.ndarray | None], Tower] | None = None
    content_of: Callable[[Sequence[EventSequence]], np.ndarray] | None = None

    def facts_for(self, histories: Sequence[EventSequence]) -> ItemFacts:
        """Returns the facts, their content vectors fitted to these histories alone."""
        if self.content_of is None:
            return self.facts
        vectors = self.content_of(histories)
        return replace(self.facts, vectors=vectors, mean=SemanticScorer.of(vectors).mean)


# How a source is fitted that needs more than the histories; any other registered source has `fit` of its own.
_FITTERS: Mapping[str, Callable[[Sequence[EventSequence], ItemFacts, RecallSettings], TableSource]] = {
    CollaborativeSource.name: lambda histories, facts, settings: CollaborativeSource(
        collaborative_table(histories, facts, settings)
    ),
    NextItemSource.name: lambda histories, facts, settings: NextItemSource(
        fit_transitions(histories, facts.count, settings.transitions)
    ),
    PopularSource.name: lambda histories, facts, settings: PopularSource(
        fit_popularity(histories, facts.count, settings.popularity).log_prior
    ),
}


class SelfFitted(Protocol):
    """A table source that needs nothing but the histories to be fitted."""

    @classmethod
    def fit(cls, histories: Sequence[EventSequence], item_count: int) -> TableSource:
        """Fits the source to training histories."""


def fit_sources(histories: Sequence[EventSequence], recipe: RecallRecipe) -> FittedSources:
    """Fits every registered source on these histories of training users."""
    facts, settings = recipe.facts_for(histories), recipe.settings
    tables: dict[str, TableSource] = {}
    for name, source in TABLE_SOURCES.items():
        if name in _FITTERS:
            tables[name] = _FITTERS[name](histories, facts, settings)
        else:
            tables[name] = cast(type[SelfFitted], source).fit(histories, facts.count)
    tower = None if recipe.tower_of is None else recipe.tower_of(histories, facts.vectors)
    return FittedSources.of(facts, tables, tower, settings.list_lengths)


def choose_recall(
    histories: Sequence[EventSequence], validation: EvalSet, recipe: RecallRecipe, progress: Progress | None = None
) -> RecallSettings:
    """Chooses by validation NDCG@100: lambda, the weight of content, of what was met but not chosen, of low rank.

    Among settings that whole histories can hardly tell apart the last few events of them choose: what is the best for
    long histories may be far from it for short ones.
    """
    settings, short = replace(recipe.settings, low_rank=0.0), little_known(validation)

    def with_lambda(value: float) -> RecallSettings:
        return replace(settings, ease=replace(settings.ease, regularisation=value))

    def build(candidate: RecallSettings) -> NeighbourScorer:
        return NeighbourScorer(collaborative_table(histories, recipe.facts, candidate))

    settings = best_on_scale(settings.ease.tried, with_lambda, build, validation, progress)
    if recipe.facts.vectors is not None:
        weights = [replace(settings, side_weight=one) for one in settings.side_tried]
        settings = best_setting(weights, build, validation, progress, ties=short)
    if any(len(history.impressions) for history in histories):
        impressions = [
            replace(settings, ease=replace(settings.ease, impression_weight=one))
            for one in settings.impression_weights_tried
        ]
        settings = best_setting(impressions, build, validation, progress, ties=short)
    ranks = [replace(settings, low_rank=one) for one in settings.low_rank_tried]
    return best_setting(ranks, build, validation, progress, ties=short)


def collaborative_table(
    histories: Sequence[EventSequence], facts: ItemFacts, settings: RecallSettings
) -> NeighbourTable:
    """Returns EASE's neighbours, low-rank weights added; for a catalogue too large for them those of item-kNN."""
    known = len(np.unique(np.concatenate([history.rows for history in histories])))
    if known > settings.ease.item_cap:
        return fit_item_neighbours(histories, facts.count)
    side = None if facts.vectors is None or facts.mean is None else facts.vectors - facts.mean
    model = fit_ease(histories, facts.count, settings.ease, side, settings.side_weight)
    if settings.low_rank > 0:
        add_low_rank(model, histories, settings.als, settings.low_rank)
    return model.table(settings.neighbour_count)
