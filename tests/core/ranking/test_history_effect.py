"""How much a history speaks for candidates beside a text."""

import numpy as np
import pytest

from core.events import EventSequence
from core.ranking.blend import Blend
from core.ranking.history_effect import cosine_effect, history_share, history_z
from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import ScoreScaler

QUERY = SourceQuery(events=EventSequence(np.array([3]), np.zeros(1, np.int64), np.zeros(1, np.float32)))


def scored(*values: float) -> SourceScores:
    return SourceScores(np.array(values, np.float32), ScoreScaler(0, 1, -5))


def test_sources_count_by_their_weights():
    blend = Blend({"collaborative": 3.0, "next_item": 1.0})
    z_scores = history_z({"collaborative": scored(4, 0), "next_item": scored(0, 4)}, QUERY, blend)
    assert z_scores == pytest.approx([3, 1])
    assert history_z({"collaborative": scored(4, 0)}, QUERY, Blend({"popular": 1.0})) is None


def test_chance_has_no_share_and_a_share_has_an_end():
    assert history_share(np.array([-5, 1, 2.5, 4, 9], np.float32)) == pytest.approx([0, 0, 0.5, 1, 1])


def test_what_cannot_be_read_has_no_share_of_the_history():
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    mean = np.array([-0.3, 0.1, 0.1], np.float32)
    effect = cosine_effect(vectors, np.array([1, 0, 0], np.float32), mean)
    assert effect[0] == 1
    assert 0 < effect[1] < 0.5 or effect[1] == 0
    assert effect[2] == 0
