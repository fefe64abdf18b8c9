"""Orders a history's candidates by the weights that training gave the sources, where no ranker orders them."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from core.ranking.blend import SourceScores, blended
from core.ranking.fusion import Candidate, RecalledList
from core.retrieval.item_neighbours import NeighbourTable, PopularItems
from core.retrieval.proxy_history import proxy_scores
from core.vectors import top_rows
from domain.recommendation import Source
from server.release.live_release import LiveRelease
from server.stages.history import History
from server.stages.rank import TEXT_SOURCES, in_order
from server.stages.recall import Recalled, last_rows
from server.stages.represent import Represented
from server.stages.told import knowledge_of


def blended_candidates(
    history: History, represented: Represented, recalled: Recalled, release: LiveRelease, count: int
) -> list[Candidate] | None:
    """Returns the best candidates in the order of the blend, a text's list joined to it by reciprocal rank.

    None where nothing was learned of the sources that recalled something: then no source counts more than another.
    """
    told, blend = recalled.told, release.data.blend
    weights = _weights(history, release) if told is None or blend.told is None else blend.told.weights
    lists = tuple(found for found in recalled.lists if len(found.rows))
    if weights.get(Source.POPULAR, 0.0) > 0 and len(recalled.popular.rows):
        lists = (*lists, recalled.popular)
    pool = [found.rows for found in lists if found.source not in TEXT_SOURCES]
    if not pool:
        return None
    rows = np.unique(np.concatenate(pool))
    if told is not None:
        scores = proxy_scores(told, knowledge_of(release), weights, rows)
    else:
        scores = None if history.past is None else _blended(history, represented, release, rows)
    if scores is None:
        return None
    return in_order(lists, RecalledList("history", *top_rows(scores, rows, len(rows))), count)


def _weights(history: History, release: LiveRelease) -> Mapping[str, float]:
    return release.data.blend.weights_for(len(history.past_rows))


def _blended(history: History, represented: Represented, release: LiveRelease, rows: np.ndarray) -> np.ndarray | None:
    """Returns float32[C]; None where nothing but what is popular could judge these rows, int64[C]."""
    weights = _weights(history, release)
    opinions = {source: say() for source, say in _sources(history, represented, release, rows) if weights.get(source)}
    return blended(opinions, weights) if opinions.keys() - {Source.POPULAR} else None


def _sources(
    history: History, represented: Represented, release: LiveRelease, rows: np.ndarray
) -> Iterator[tuple[str, Callable[[], SourceScores]]]:
    """Yields what can judge these rows, int64[C]; standardised over the catalogue, as in training."""
    trained = release.data
    for query in represented.queries:
        if query.source is Source.SEMANTIC_HISTORY:
            yield (
                query.source,
                partial(SourceScores.of_vectors, release.data.index.vectors, query.vector, release.unreadable, rows),
            )
    vectors, silent, user = trained.tower_vectors, trained.tower_silent, represented.user_embedding
    if vectors is not None and silent is not None and user is not None:
        yield Source.USER_TOWER, partial(SourceScores.of_vectors, vectors, user, silent, rows)
    if trained.neighbours is not None:
        yield Source.COLLABORATIVE, partial(_of_table, trained.neighbours, history.past_rows, rows)
    if trained.item_transitions is not None:
        yield Source.NEXT_ITEM, partial(_of_table, trained.item_transitions, last_rows(history), rows)
    if trained.popularity is not None:
        yield Source.POPULAR, partial(_of_popularity, trained.popularity, rows)


def _of_table(table: NeighbourTable, history: np.ndarray, rows: np.ndarray) -> SourceScores:
    return SourceScores.of_sums(table.sums(history), rows)


def _of_popularity(popularity: PopularItems, rows: np.ndarray) -> SourceScores:
    return SourceScores(popularity.log_prior[rows], popularity.scale)
