"""Half-lives of a history's events: the sources, training's queries and the gateway's weigh them alike."""

import numpy as np
import pytest

from core.events import history_weights
from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.next_item import NextItemSource
from core.retrieval.source import SourceQuery
from core.vectors import history_query
from domain.progress import SilentProgress
from tests.support.histories import history, part
from training.encoder.semantic import SemanticScorer
from training.ranking.blend_cases import BlendSettings, choose_half_lives
from training.ranking.sources import FittedSources

# Item 0 leads to item 3, item 1 to item 4.
TABLE = NeighbourTable(
    np.array([[3], [4], [-1], [-1], [-1]], np.int32), np.array([[1.0], [0.9], [0], [0], [0]], np.float32)
)
NOBODY = np.zeros(5, bool)


def test_an_event_counts_by_its_last_time():
    events = history(7, 3, 7, 5)
    assert events.recency(np.array([7, 3, 5, 9]), 1.0) == pytest.approx([0.5, 0.25, 1.0, 1.0])
    assert events.recency(np.array([7, 3]), 0.0) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("source", [CollaborativeSource(TABLE), NextItemSource(TABLE)])
def test_a_half_life_lets_the_latest_event_lead(source):
    query = SourceQuery(events=history(0, 1))
    assert source.search(query, 2, NOBODY)[0].tolist() == [3, 4]
    recent = SourceQuery(events=history(0, 1), half_lives={source.name: 1.0})
    assert source.search(recent, 2, NOBODY)[0].tolist() == [4, 3]
    other = SourceQuery(events=history(0, 1), half_lives={"another": 1.0})
    assert source.search(other, 2, NOBODY)[0].tolist() == [3, 4]


def test_training_and_the_gateway_make_the_same_history_vector():
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scorer, events = SemanticScorer.of(vectors), history(2, 0, 4)
    trained = scorer.weighted_queries([events], 1.5)[0]
    rows = events.distinct_rows
    usual = history_weights(events.rows, events.kind)
    served = history_query(vectors[rows], scorer.mean, usual * events.recency(rows, 1.5))
    assert trained == pytest.approx(served, abs=1e-5)
    assert np.abs(trained - scorer.weighted_queries([events])[0]).max() > 0.01


def test_it_travels_in_the_blend(tmp_path):
    Blend({"collaborative": 1.0}, half_lives={"collaborative": 4.0}).save(tmp_path / "blend.json")
    assert Blend.load(tmp_path / "blend.json").half_lives == {"collaborative": 4.0}
    text = (tmp_path / "blend.json").read_text().replace("4.0", "-1")
    (tmp_path / "blend.json").write_text(text)
    with pytest.raises(ValueError, match="half_lives"):
        Blend.load(tmp_path / "blend.json")


def test_validation_chooses_it_where_the_order_tells_something():
    tables = {"collaborative": CollaborativeSource(TABLE), "popular": _popular()}
    fitted = FittedSources.of(ItemFacts(count=5), tables, None, {})
    latest_leads = part(5, ((0, 1), (4,)), ((1, 0), (3,)))
    settings = BlendSettings(half_lives=(1.0, 4.0))
    assert choose_half_lives(fitted, latest_leads, settings, SilentProgress()) == {"collaborative": 1.0}
    order_is_nothing = part(5, ((0, 1), (3,)), ((1, 0), (3,)))
    assert choose_half_lives(fitted, order_is_nothing, settings, SilentProgress()) == {}


def _popular():
    from core.retrieval.popular import PopularSource

    return PopularSource(np.zeros(5, np.float32))
