"""A gateway as a method of an evaluation."""

import numpy as np
import pytest

from domain.errors import SplitRefused
from shortlist import AsyncClient
from shortlist.v1 import recommender_pb2 as pb
from tests.support.fakes import FakeGateway
from tests.support.histories import history
from training.evaluation.evaluate import TextScorer
from training.evaluation.through_service import ServiceScorer


def test_lists_become_scores_and_what_is_no_candidate_is_excluded():
    with FakeGateway() as fake:
        fake.reply = pb.RecommendResponse(items=[{"id": "b"}, {"id": "elsewhere"}, {"id": "d"}], release_id="r")
        candidates = np.array([True, True, False, True])
        scorer = ServiceScorer(lambda: AsyncClient(fake.address), ["a", "b", "c", "d"], candidates)
        scores = scorer.scores([history(0), history(0)])
        assert scores.shape == (2, 4)
        assert np.isinf(scores[0]).tolist() == [True, False, True, False]
        assert scores[0, 1] > scores[0, 3]
        assert list(fake.requests[0].exclude_item_ids) == ["c"]
        assert [event.item_id for event in fake.requests[0].events] == ["a"]


def test_a_line_of_text_goes_along_as_what_is_known_of_the_caller():
    with FakeGateway() as fake:
        fake.reply = pb.RecommendResponse(items=[{"id": "b"}], release_id="r")
        scorer = ServiceScorer(lambda: AsyncClient(fake.address), ["a", "b"], np.ones(2, bool))
        assert isinstance(scorer, TextScorer)
        scores = scorer.text_scores(["likes tea", "\u8336" * 5_000])
        assert np.isinf(scores).tolist() == [[True, False]] * 2
        sent = sorted(request.profile for request in fake.requests)
        assert sent == ["likes tea", "\u8336" * 2_730]
        assert not fake.requests[0].events


def test_a_split_with_too_many_items_that_are_no_candidates_is_refused():
    with pytest.raises(SplitRefused, match="at most 10,000 to exclude"):
        ServiceScorer(lambda: AsyncClient("127.0.0.1:1"), [], np.zeros(10_001, bool))
