"""The recall sources fitted to training histories, and the item facts that they leave to the ranker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

import numpy as np

from core.aspects.profile import own_aspects
from core.events import EventSequence
from core.ranking.blend import PRIOR
from core.ranking.features import UserSignals
from core.ranking.item_facts import ItemFacts
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.next_item import NextItemSource
from core.retrieval.popular import PopularSource
from core.retrieval.registry import TABLE_SOURCES
from core.retrieval.semantic import SemanticHistorySource
from core.retrieval.similar_users import SimilarUsersSource
from core.retrieval.source import RecallSource, RecallSources, SourceQuery, TableSource
from core.retrieval.user_tower import UserTowerSource
from core.retrieval.vector_store import VectorStore
from core.scaling import Population
from domain.progress import Progress, SilentProgress
from training.collaborative.neighbours import (
    NeighbourScorer,
    UserNeighboursSettings,
    choose_user_neighbours,
    fit_similar_users,
)
from training.collaborative.popularity import fit_popularity
from training.collaborative.transitions import fit_transitions
from training.encoder.semantic import SemanticScorer
from training.ranking.collaborative_table import TableFitter
from training.ranking.recall_settings import RecallSettings
from training.splits.selection import Selection, best_on_scale, best_setting
from training.splits.short_histories import little_known
from training.splits.split import EvalSet
from training.splits.validation import NDCG_AT_100

# Of the cases that are drawn where there are too many.
_CASE_SEED = 0


class Tower(Protocol):
    """A user tower as recall needs it: a score is the inner product of a user and an item."""

    def item_vectors(self) -> np.ndarray:
        """Returns float32[n, e], unit; zeros for an item that it knows nothing of."""

    def user_vectors(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, e], unit; zeros for an empty history."""


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
        half_lives: by source name, the events after which an event counts half for it, as `Blend.half_lives`.
    """

    facts: ItemFacts
    tables: Mapping[str, TableSource]
    sources: RecallSources
    content: SemanticScorer | None
    tower: Tower | None
    list_lengths: Mapping[str, int]
    half_lives: Mapping[str, float] = field(default_factory=dict)

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

    def signals(self, query: SourceQuery) -> UserSignals:
        """Returns what is known of a user besides the events, as a gateway has it for a ranker over these facts."""
        comments = query.events.comments
        aspects = None if self.facts.aspects is None or not len(comments) else own_aspects(comments.tolist())
        return UserSignals(query.user_embedding, aspects)

    def queries(self, histories: Sequence[EventSequence]) -> list[SourceQuery]:
        """Returns what each history offers to the sources."""
        half_life = self.half_lives.get(SemanticHistorySource.name, 0.0)
        vectors = None if self.content is None else self.content.weighted_queries(histories, half_life)
        users = None if self.tower is None else self.tower.user_vectors(histories)
        return [
            SourceQuery(
                history_vector=None if vectors is None or not vectors[place].any() else vectors[place],
                events=history,
                user_embedding=None if users is None or not users[place].any() else users[place],
                half_lives=self.half_lives,
            )
            for place, history in enumerate(histories)
        ]


@dataclass(frozen=True)
class SourceScorer:
    """Scorer by one source's own scores, with the half-life that it is served with.

    Attributes:
        fitted: the sources.
        name: of the source.
    """

    fitted: FittedSources
    name: str

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; -inf where the source cannot answer or score."""
        source, rows = self.fitted.sources.get(self.name), np.arange(self.fitted.facts.count)
        scores = np.full((len(histories), len(rows)), -np.inf, np.float32)
        for place, query in enumerate(self.fitted.queries(histories)):
            if source is not None and source.can_answer(query):
                scores[place] = source.scores(query, rows, self.fitted.sources.population).scores
        return scores


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
        progress: hears of the fits.
    """

    facts: ItemFacts
    settings: RecallSettings = field(default_factory=RecallSettings)
    tower_of: Callable[[Sequence[EventSequence], np.ndarray | None], Tower] | None = None
    content_of: Callable[[Sequence[EventSequence]], np.ndarray] | None = None
    progress: Progress = field(default_factory=SilentProgress)

    def facts_for(self, histories: Sequence[EventSequence]) -> ItemFacts:
        """Returns the facts, their content vectors fitted to these histories alone."""
        if self.content_of is None:
            return self.facts
        vectors = self.content_of(histories)
        return replace(self.facts, vectors=vectors, mean=SemanticScorer.of(vectors).mean)


# How a source is fitted that needs more than the histories; any other registered source has `fit` of its own.
_FITTERS: Mapping[str, Callable[[Sequence[EventSequence], ItemFacts, RecallRecipe], TableSource]] = {
    CollaborativeSource.name: lambda histories, facts, recipe: CollaborativeSource(
        TableFitter(histories, facts, recipe.progress).table(recipe.settings)
    ),
    NextItemSource.name: lambda histories, facts, recipe: NextItemSource(
        fit_transitions(histories, facts.count, recipe.settings.transitions)
    ),
    SimilarUsersSource.name: lambda histories, facts, recipe: fit_similar_users(
        histories, facts.count, recipe.settings.similar_users
    ),
    PopularSource.name: lambda histories, facts, recipe: PopularSource(
        fit_popularity(histories, facts.count, recipe.settings.popularity).log_prior
    ),
}


class SelfFitted(Protocol):
    """A table source that needs nothing but the histories to be fitted."""

    @classmethod
    def fit(cls, histories: Sequence[EventSequence], item_count: int) -> TableSource:
        """Fits the source to training histories."""


def fit_sources(histories: Sequence[EventSequence], recipe: RecallRecipe) -> FittedSources:
    """Fits every registered source on these histories of training users."""
    facts = recipe.facts_for(histories)
    tables: dict[str, TableSource] = {}
    for name, source in TABLE_SOURCES.items():
        if name in _FITTERS:
            tables[name] = _FITTERS[name](histories, facts, recipe)
        else:
            tables[name] = cast(type[SelfFitted], source).fit(histories, facts.count)
    tower = None if recipe.tower_of is None else recipe.tower_of(histories, facts.vectors)
    return FittedSources.of(facts, tables, tower, recipe.settings.list_lengths)


def _similar_users(
    histories: Sequence[EventSequence], item_count: int, selection: Selection, settings: RecallSettings
) -> UserNeighboursSettings:
    """Returns the neighbourhood that validation chooses, over at most as many users as a release keeps."""
    return choose_user_neighbours(
        histories[: max(settings.similar_users.user_limit, 1)], item_count, selection, settings.similar_users
    )


def choose_recall(
    histories: Sequence[EventSequence], validation: EvalSet, recipe: RecallRecipe, progress: Progress | None = None
) -> RecallSettings:
    """Chooses by validation NDCG@100: lambda, the weight of content, of what was met but not chosen, of low rank.

    Among settings that whole histories can hardly tell apart the last few events of them choose: what is the best for
    long histories may be far from it for short ones. At most `settings.case_limit` cases are asked, drawn. The solver
    that it returns is never "auto".
    """
    settings = replace(recipe.settings, low_rank=0.0)
    part = validation.sample(settings.case_limit, _CASE_SEED)
    short = little_known(part).sample(settings.case_limit, _CASE_SEED)
    selection = Selection(part, NDCG_AT_100, progress or SilentProgress())
    # Of a whole history other sources know more; similar users are to help where little is known.
    few = replace(selection, part=short if short.cases else part)
    settings = replace(settings, similar_users=_similar_users(histories, recipe.facts.count, few, settings))
    fitter = TableFitter(histories, recipe.facts, progress)

    def with_lambda(value: float) -> RecallSettings:
        return replace(settings, ease=replace(settings.ease, regularisation=value))

    def build(candidate: RecallSettings) -> NeighbourScorer:
        return NeighbourScorer(fitter.table(candidate))

    settings = best_on_scale(settings.ease.tried, with_lambda, build, selection)
    if recipe.facts.vectors is not None:
        weights = [replace(settings, side_weight=one) for one in settings.side_tried]
        settings = best_setting(weights, build, selection, ties=short)
    if any(len(history.impressions) for history in histories):
        impressions = [
            replace(settings, ease=replace(settings.ease, impression_weight=one))
            for one in settings.impression_weights_tried
        ]
        settings = best_setting(impressions, build, selection, ties=short)
    # The solver is named: fits on fewer items, of a fold for instance, go by the one that was chosen for all.
    if fitter.is_local(settings):
        return replace(settings, solver="local")
    tried = [replace(settings, solver="ease", low_rank=one) for one in settings.low_rank_tried]
    if settings.solver == "auto":
        tried.append(replace(settings, solver="local"))
    return best_setting(tried, build, selection, ties=short)
