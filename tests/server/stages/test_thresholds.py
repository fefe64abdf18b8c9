"""Worked case T2 through the recall stage: a threshold divides what a text finds, as it does for every source."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from core.ranking.blend import Blend
from core.retrieval.semantic import SemanticTextSource
from core.retrieval.source import RecallSources, SourceQuery
from core.scaling import Population
from domain.item import Item
from server.stages.recall import RecallRequest, recall
from tests.support.dict_catalogue import DictCatalogue

# Similarities of six users and three items, and whom alpha .6 recalls for each.
SIMILAR = ((0.8, 0.6, 0.5), (0.9, 0.7, 0.5), (0.7, 0.5, 0.6), (0.6, 0.5, 0.4), (0.6, 0.5, 0.4), (0.5, 0.4, 0.4))
RECALLED = ({"y1", "y2"}, {"y1", "y2"}, {"y1", "y3"}, {"y1"}, {"y1"}, set())


@dataclass
class Release:
    """The parts of a release that recall asks."""

    catalogue: DictCatalogue
    sources: RecallSources
    thresholds: dict[str, float]
    blend: Blend = field(default_factory=Blend)
    ranker: None = None


def release(alpha: float) -> Release:
    vectors = np.eye(3, 4, dtype=np.float32)
    entries = {f"y{row + 1}": (Item(f"y{row + 1}", "", ""), vector) for row, vector in enumerate(vectors)}
    catalogue = DictCatalogue(entries, {})
    sources = RecallSources((SemanticTextSource(catalogue),), Population.of(np.ones(3, bool)))
    return Release(catalogue, sources, {"semantic_text": alpha})


@pytest.mark.parametrize("user", range(6))
def test_alpha_divides_what_a_text_finds(user):
    query = SourceQuery(text_vector=np.asarray((*SIMILAR[user], 0.0), np.float32))
    served = release(np.float32(0.6))
    found = recall(RecallRequest(query, by_text=True, judged=False), served, np.zeros(3, bool))
    above = {served.catalogue.ids_of([row])[0] for part in found.lists for row in part.rows}
    below = {served.catalogue.ids_of([row])[0] for part in found.below_threshold for row in part.rows}
    assert above == RECALLED[user]
    assert above | below == {"y1", "y2", "y3"}
