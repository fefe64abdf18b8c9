"""A caller's events, as the recommender reads them."""

import pytest

from domain.errors import NothingToGoOn
from domain.event import Event, EventKind
from domain.recommendation import Source
from tests.support.served import HISTORY, sources

pytestmark = pytest.mark.xdist_group("workshop")


async def test_a_told_history_is_read_as_text_and_not_ranked(served):
    answer = await served.ask(events=HISTORY, tell_history=True)
    assert not sources(answer) & {Source.COLLABORATIVE, Source.NEXT_ITEM, Source.USER_TOWER}
    assert {item.match_probability for item in answer.items} == {None}


@pytest.mark.parametrize(
    "events", [(Event("unknown", EventKind.BUY),), (Event("item-02", EventKind.DISLIKE),)], ids=["unknown", "disliked"]
)
async def test_a_caller_of_whom_nothing_is_known_gets_what_is_popular(served, events):
    answer = await served.ask(events=events, explain=True, k=5)
    expected = [f"item-{row:02}" for row in range(6) if f"item-{row:02}" != events[0].item_id][:5]
    assert [item.id for item in answer.items] == expected
    assert sources(answer) == {Source.POPULAR}
    assert [item.score for item in answer.items] == sorted((item.score for item in answer.items), reverse=True)
    assert answer.items[0].explanation.text == "It was chosen by many."
    served.without("popular")
    with pytest.raises(NothingToGoOn):
        await served.ask(events=events)
