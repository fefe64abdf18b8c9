"""Less service under overload, through the recommender over the release with trained parts."""

import pytest

from domain.recommendation import DegradationReason, RecommendQuery
from server.admission.level import ServiceLevel
from server.deadline import Deadline
from server.trace import Trace
from tests.support.served import HISTORY

pytestmark = pytest.mark.xdist_group("workshop")


async def ask(served, level, **query):
    return await served.recommender.recommend(RecommendQuery(**query), Deadline.after(10), Trace(), level)


async def test_each_level_leaves_one_thing_more_out(served):
    for level, asked, explained in (
        (ServiceLevel.FULL, {"user_tower", "ranker"}, True),
        (ServiceLevel.NO_EXPLANATIONS, {"user_tower", "ranker"}, False),
        (ServiceLevel.NO_RANKER, {"user_tower"}, False),
        (ServiceLevel.WORDS_ONLY, set(), False),
    ):
        served.triton.asked.clear()
        answer = await ask(served, level, events=HISTORY, explain=True)
        assert set(served.triton.asked) == asked, level
        assert answer.items and all((item.explanation is not None) == explained for item in answer.items)
        told = [one.reason for one in answer.degradations]
        assert (DegradationReason.OVERLOADED in told) == (level is not ServiceLevel.FULL)


async def test_a_text_is_matched_by_words_alone_without_the_encoder(served):
    served.triton.asked.clear()
    title = served.release.catalogue.items_of([0])[0].title
    answer = await ask(served, ServiceLevel.WORDS_ONLY, text=title)
    assert served.triton.asked == [] and answer.items
    assert {one.reason for one in answer.degradations} >= {DegradationReason.OVERLOADED}
    full = await ask(served, ServiceLevel.FULL, text=title)
    assert DegradationReason.OVERLOADED not in {one.reason for one in full.degradations}
