"""Orders a history's candidates by the weights that training gave the sources, where no ranker orders them."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from domain.recommendation import Source
from pipeline.blend import Opinion, Scale, blended
from pipeline.fuse import Candidate, RecalledList
from pipeline.neighbours import NeighbourTable, PopularItems
from pipeline.vectors import top_rows
from server.history import History
from server.live_release import LiveRelease
from server.ranker import TEXT_SOURCES, in_order
from server.recall import Recalled, last_rows
from server.represent import Represented

# Of a larger catalogue every n-th item says how scores spread: at this many the spread is known to 2 %.
_SAMPLE_ITEMS = 4_096


def blended_candidates(
    history: History, represented: Represented, recalled: Recalled, release: LiveRelease, count: int
) -> list[Candidate] | None:
    """Returns the best candidates in the order of the blend, a text's list joined to it by reciprocal rank.

    None where nothing was learned of the sources that recalled something: then no source counts more than another.
    """
    weights = release.learned.blend.weights
    lists = tuple(found for found in recalled.lists if len(found.rows))
    if weights.get(Source.POPULAR, 0.0) > 0 and len(recalled.popular.rows):
        lists = (*lists, recalled.popular)
    pool = [found.rows for found in lists if found.source not in TEXT_SOURCES]
    if history.past is None or not pool:
        return None
    rows = np.unique(np.concatenate(pool))
    opinions = {source: say() for source, say in _sources(history, represented, release, rows) if weights.get(source)}
    if not opinions.keys() - {Source.POPULAR}:
        return None
    scores = blended(opinions, weights)
    return in_order(lists, RecalledList("history", *top_rows(scores, rows, len(rows))), count)


def _sources(
    history: History, represented: Represented, release: LiveRelease, rows: np.ndarray
) -> Iterator[tuple[str, Callable[[], Opinion]]]:
    """Yields what can judge these rows, int64[C]; standardised over the catalogue, as in training."""
    learned = release.learned
    for query in represented.queries:
        if query.source is Source.SEMANTIC_HISTORY:
            yield query.source, partial(_of_vectors, release.index.vectors, query.vector, release.unreadable, rows)
    if learned.tower is not None and represented.user_embedding is not None:
        tower = learned.tower
        yield (
            Source.USER_TOWER,
            partial(_of_vectors, tower.item_vectors, represented.user_embedding, tower.silent, rows),
        )
    if learned.neighbours is not None:
        yield Source.COLLABORATIVE, partial(_of_table, learned.neighbours, history.past_rows, rows)
    if learned.followers is not None:
        yield Source.FOLLOWING, partial(_of_table, learned.followers, last_rows(history), rows)
    if learned.popularity is not None:
        yield Source.POPULAR, partial(_of_popularity, learned.popularity, rows)


def _of_vectors(vectors: np.ndarray, query: np.ndarray, silent: np.ndarray, rows: np.ndarray) -> Opinion:
    step = max(1, len(vectors) // _SAMPLE_ITEMS)
    scale = Scale.of(np.where(silent[::step], -np.inf, vectors[::step] @ query))
    return Opinion(np.where(silent[rows], -np.inf, vectors[rows] @ query), scale)


def _of_table(table: NeighbourTable, history: np.ndarray, rows: np.ndarray) -> Opinion:
    sums = table.sums(history)
    sums = np.where(sums != 0, sums, -np.inf)
    return Opinion(sums[rows], Scale.of(sums))


def _of_popularity(popularity: PopularItems, rows: np.ndarray) -> Opinion:
    return Opinion(popularity.log_prior[rows], popularity.scale)
