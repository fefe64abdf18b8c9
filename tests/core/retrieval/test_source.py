"""Every registered source over the same small catalogue: search agrees with scores, and blocked rows stay out."""

import numpy as np
import pytest

from core.events import EventSequence
from core.retrieval.collaborative import CollaborativeSource, unusable_as_proxy
from core.retrieval.fill import FillSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.lexical import LexicalSource
from core.retrieval.next_item import NextItemSource
from core.retrieval.popular import PopularSource
from core.retrieval.proxy_history import ProxyHistory
from core.retrieval.registry import TABLE_SOURCES
from core.retrieval.semantic import SemanticHistorySource, SemanticTextSource
from core.retrieval.similar_users import Neighbourhood, SimilarUsersSource
from core.retrieval.source import SourceQuery, recall_lists
from core.retrieval.trending import TrendingSource, Trends
from core.retrieval.user_tower import UserTowerSource
from core.retrieval.vector_store import VectorStore
from core.scaling import Population
from domain.item import Item
from domain.recommendation import Source
from tests.support.words import lexical_index

COUNT, WIDTH = 40, 8
DRAW = np.random.default_rng(3)
VECTORS = DRAW.normal(size=(COUNT, WIDTH)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
SILENT = np.arange(COUNT) % 9 == 4
TABLE = NeighbourTable(
    DRAW.integers(-1, COUNT, (COUNT, 6)).astype(np.int32), DRAW.uniform(0.1, 1, (COUNT, 6)).astype(np.float32)
)
PRIOR = np.log(DRAW.integers(1, 9, COUNT) / 200).astype(np.float32)
STORE = VectorStore(VECTORS, SILENT)
LEXICAL = lexical_index([Item(f"id-{row}", f"word{row % 5} word{row % 7}", "") for row in range(COUNT)])
# Every item but one is trending; the catalogue does not have the last two.
TRENDS = Trends(tuple(map(str, range(1, COUNT + 2))), tuple(DRAW.integers(1, 30, COUNT + 1).astype(float)))
PEOPLE = [np.unique(DRAW.integers(0, COUNT, 9)) for _ in range(30)]
SIMILAR = SimilarUsersSource(
    np.cumsum([0, *map(len, PEOPLE)]), np.concatenate(PEOPLE), COUNT, Neighbourhood(count=6, shrinkage=2.0)
)
SOURCES = (
    SemanticTextSource(STORE),
    SemanticHistorySource(STORE),
    LexicalSource(LEXICAL),
    UserTowerSource(STORE),
    CollaborativeSource(TABLE),
    NextItemSource(TABLE),
    SIMILAR,
    PopularSource(PRIOR),
    TrendingSource(TRENDS, lambda ids: {name: int(name) for name in ids if int(name) < COUNT}),
)
QUERY = SourceQuery(
    text_vector=VECTORS[5],
    lexical=LEXICAL.parse("word1 word3"),
    history_vector=VECTORS[8],
    events=EventSequence(np.array([3, 9, 3]), np.zeros(3, np.int64), np.zeros(3, np.float32)),
    user_embedding=VECTORS[11],
    named=frozenset({Source.TRENDING.value}),
)
POPULATION = Population.of(PRIOR.min() < PRIOR)
ids = {"ids": lambda source: source.name}


@pytest.mark.parametrize("source", SOURCES, **ids)
def test_search_returns_the_best_scores_without_blocked_rows(source):
    blocked = np.arange(COUNT) % 3 == 0
    rows, scores = source.search(QUERY, 5, blocked)
    assert len(rows) == 5
    assert not blocked[rows].any()
    everything = np.arange(COUNT)
    expected = source.scores(QUERY, everything, POPULATION).scores.astype(np.float64)
    expected[blocked] = -np.inf
    assert scores.tolist() == pytest.approx(sorted(expected, reverse=True)[:5], abs=1e-5)
    few = np.array([7, 2, 31])
    assert source.scores(QUERY, few, POPULATION).z_scores == pytest.approx(
        source.scores(QUERY, everything, POPULATION).z_scores[few], abs=1e-5
    )


@pytest.mark.parametrize("source", SOURCES, **ids)
def test_a_query_without_what_a_source_goes_by_is_not_answered(source):
    assert source.can_answer(QUERY)
    assert source.can_answer(SourceQuery()) == (source.name == Source.POPULAR)


@pytest.mark.parametrize("source", SOURCES, **ids)
def test_scores_are_standardised_over_the_population(source):
    scores = source.scores(QUERY, np.arange(COUNT), POPULATION)
    known = scores.scores[POPULATION.rows]
    known = known[np.isfinite(known)]
    assert (scores.scaler.mean, scores.scaler.spread) == pytest.approx((known.mean(), known.std()), abs=1e-4)


@pytest.mark.parametrize("source", [one for one in SOURCES if one.name in TABLE_SOURCES], **ids)
def test_a_table_is_saved_loaded_and_moved_to_another_catalogue(source, tmp_path):
    path = tmp_path / source.file
    source.save(path)
    again = TABLE_SOURCES[source.name].load(path)
    same = again.remapped(np.arange(COUNT), COUNT)
    expected = source.search(QUERY, COUNT, np.zeros(COUNT, bool))
    for other in (again, same):
        assert len(other) == COUNT
        for found, wanted in zip(other.search(QUERY, COUNT, np.zeros(COUNT, bool)), expected, strict=True):
            assert np.array_equal(found, wanted)


def test_a_proxy_history_stands_for_events_by_its_weights():
    source = CollaborativeSource(TABLE)
    proxy = SourceQuery(proxy_history=ProxyHistory(np.array([3, 9]), np.array([0.75, 0.25])))
    expected = np.zeros(COUNT)
    for row, weight in ((3, 0.75), (9, 0.25)):
        real = TABLE.rows[row] >= 0
        np.add.at(expected, TABLE.rows[row][real], weight * TABLE.weights[row][real])
    scores = source.scores(proxy, np.arange(COUNT), POPULATION).scores
    assert np.where(np.isfinite(scores), scores, 0) == pytest.approx(expected, abs=1e-6)
    assert not source.can_answer(SourceQuery(proxy_history=ProxyHistory(np.empty(0, np.int64), np.empty(0))))


def test_items_without_neighbours_are_unusable_as_proxies():
    table = NeighbourTable(np.array([[1], [-1], [0]], np.int32), np.ones((3, 1), np.float32))
    assert unusable_as_proxy(CollaborativeSource(table), 3).tolist() == [False, True, False]
    assert unusable_as_proxy(None, 3).all()


def test_every_source_that_answers_gives_a_list_of_its_length():
    lists = recall_lists(SOURCES, QUERY, {"collaborative": 2}, np.zeros(COUNT, bool))
    lengths = {recalled.source: len(recalled.rows) for recalled in lists}
    assert lengths["collaborative"] == 2
    assert lengths["semantic_text"] == COUNT - SILENT.sum()


def test_fill_gives_what_vectors_cannot_find():
    fill = FillSource(SILENT)
    assert fill.can_answer(QUERY)
    assert not fill.can_answer(SourceQuery(lexical=LEXICAL.parse("word1")))
    rows, scores = fill.search(QUERY, 2, np.arange(COUNT) == 4)
    assert rows.tolist() == [13, 22]
    assert not scores.any()
