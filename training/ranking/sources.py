"""The recall sources together: what each one scores, and the facts about items that they leave to the ranker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from core.events import EventSequence
from core.ranking.blend import LIST_LENGTHS
from core.ranking.fusion import RecalledList
from core.ranking.item_facts import ItemFacts
from domain.progress import Progress
from training.collaborative.als import AlsSettings
from training.collaborative.ease import EaseSettings, fit_ease
from training.collaborative.low_rank import add_low_rank
from training.collaborative.neighbours import NeighbourTable, fit_item_neighbours
from training.collaborative.popularity import Popularity, PopularitySettings, fit_popularity
from training.collaborative.transitions import TransitionSettings, fit_transitions
from training.encoder.semantic import SemanticScorer
from training.splits.short_histories import little_known
from training.splits.split import EvalSet
from training.splits.validation import best_on_scale, best_setting, top_places

POPULAR = "popular"


class Tower(Protocol):
    """A user tower as recall needs it: a score is the inner product of a user and an item."""

    def item_vectors(self) -> np.ndarray:
        """Returns float32[n, e], unit; zeros for an item that it knows nothing of."""

    def user_vectors(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, e], unit; zeros for an empty history."""


@dataclass(frozen=True)
class RecallSettings:
    """How the sources are fitted and how many items each recalls.

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
class Recall:
    """Fitted sources.

    Attributes:
        facts: item facts with the tables, the prior and the tower's vectors filled in.
        collaborative: the neighbour table that serving reads.
        following: the table of what comes next.
        popularity: the prior.
        semantic: content vectors; None without texts.
        tower: None where none was trained.
        list_lengths: items that each source recalls.
    """

    facts: ItemFacts
    collaborative: NeighbourTable
    next_item: NeighbourTable
    popularity: Popularity
    semantic: SemanticScorer | None
    tower: Tower | None
    list_lengths: Mapping[str, int]

    @classmethod
    def of(
        cls,
        facts: ItemFacts,
        tables: tuple[NeighbourTable, NeighbourTable],
        popularity: Popularity,
        tower: Tower | None,
        list_lengths: Mapping[str, int],
    ) -> "Recall":
        """Puts the sources together; `facts` are those that need no training, `tables` neighbours and followers."""
        collaborative, next_item = tables
        filled = replace(
            facts,
            neighbour_rows=collaborative.rows,
            neighbour_weights=collaborative.weights,
            transition_rows=next_item.rows,
            transition_weights=next_item.weights,
            log_popularity=popularity.log_prior,
            tower_vectors=None if tower is None else tower.item_vectors(),
        )
        semantic = None if facts.vectors is None else SemanticScorer.of(facts.vectors)
        return cls(filled, collaborative, next_item, popularity, semantic, tower, list_lengths)

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of what `source_scores` returns."""
        semantic = () if self.semantic is None else ("semantic_history",)
        tower = () if self.tower is None or self.facts.tower_vectors is None else ("user_tower",)
        return ("collaborative", "next_item", POPULAR, *semantic, *tower)

    def source_scores(self, histories: Sequence[EventSequence]) -> dict[str, np.ndarray]:
        """Returns float32[B, n] by source name; -inf where a source cannot say."""
        scores = {
            "collaborative": _said(self.collaborative.scores(histories)),
            "next_item": _said(self.next_item.scores([history.take(slice(-5, None)) for history in histories])),
            POPULAR: self.popularity.scores(histories),
        }
        if self.semantic is not None:
            semantic = self.semantic.scores(histories)
            scores["semantic_history"] = np.where(semantic.any(axis=1, keepdims=True), semantic, -np.inf)
        if self.tower is not None and self.facts.tower_vectors is not None:
            items = self.facts.tower_vectors
            found = self.tower.user_vectors(histories) @ items.T
            found[:, ~items.any(axis=1)] = -np.inf
            scores["user_tower"] = found
        return scores

    def lists(self, scores: Mapping[str, np.ndarray], place: int, blocked: np.ndarray) -> list[RecalledList]:
        """Returns what each source recalls for one history.

        Args:
            scores: as `source_scores` gives them.
            place: the history's place in them.
            blocked: bool[n], rows that nobody may recall.
        """
        found = []
        for source, length in self.list_lengths.items():
            if source not in scores:
                continue
            out = blocked
            if source == POPULAR:  # items nobody chose share the smallest prior: they are not popular
                out = blocked | (self.popularity.log_prior <= self.popularity.log_prior.min())
            allowed = np.where(out, -np.inf, scores[source][place])
            rows = top_places(allowed, length)
            found.append(RecalledList(source, rows, allowed[rows]))
        return found


@dataclass(frozen=True)
class RecallRecipe:
    """How the sources are fitted on any histories, so that they can be fitted without those that are asked about.

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


def fit_recall(histories: Sequence[EventSequence], recipe: RecallRecipe) -> Recall:
    """Fits every source on these histories of training users."""
    facts, settings = recipe.facts_for(histories), recipe.settings
    collaborative = collaborative_table(histories, facts, settings)
    next_item = fit_transitions(histories, facts.count, settings.transitions)
    popularity = fit_popularity(histories, facts.count, settings.popularity)
    tower = None if recipe.tower_of is None else recipe.tower_of(histories, facts.vectors)
    return Recall.of(facts, (collaborative, next_item), popularity, tower, settings.list_lengths)


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

    def build(one: RecallSettings) -> NeighbourTable:
        return collaborative_table(histories, recipe.facts, one)

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


def _said(scores: np.ndarray) -> np.ndarray:
    """Returns the scores with -inf for 0: a table says nothing of items that no event leads to."""
    return np.where(scores != 0, scores, -np.inf).astype(np.float32)
