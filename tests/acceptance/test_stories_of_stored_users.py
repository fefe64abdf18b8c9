"""T1, T3, T4, T5 and T8 with stored users: what a request says of its caller is recorded instead of passed along.

T2 lies in `test_formulas.py`, T7 in `test_stored_users.py`.
"""

import pytest

from shortlist import Client, DegradationReason, Event, EventKind, RecallSource
from tests.acceptance.test_examples import TestToldAsText as ToldAsText
from tests.acceptance.test_examples import TestUnreadableGoods as UnreadableGoods
from tests.acceptance.test_examples import TestWish as Wish
from tests.acceptance.test_stories import TestBought as Bought
from tests.acceptance.test_stories import TestNews as News
from tests.support.recording import RecordingClient

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]


@pytest.fixture
def client(client):
    return RecordingClient(client)


class Searched:
    """Wishes are stored searches; the requests come without a text."""

    @pytest.fixture
    def client(self, client):
        return RecordingClient(client, records_texts=True)


class TestStoredWish(Searched, Wish):
    """T1."""

    by_meaning = RecallSource.SEMANTIC_HISTORY


class TestStoredPurchases(Bought):
    """T3."""


class TestStoredEventsToldAsText(ToldAsText):
    """T4."""


class TestStoredComments(News):
    """T5."""


class TestStoredSearchesForUnreadableGoods(Searched, UnreadableGoods):
    """T8."""

    def test_what_can_be_read_beside_them_counts_by_its_vector(self, client: Client) -> None:
        """A search of yesterday, said twice, and an item that the encoder cannot read, known or not."""
        said = [Event("", EventKind.SEARCH, text="jasmine tea for the evening")] * 2
        alone = client.recommend(events=said, k=3)
        unread = [Event("goods-zh-only-a", EventKind.BUY), Event("elsewhere", EventKind.BUY, item_title="陶瓷炖锅")]
        for event in unread:
            reply = client.recommend(events=[*said, event], k=10)
            sources = {item.id: {one.source for one in item.provenance} for item in reply.items}
            for item in alone.items:
                assert sources[item.id] == {RecallSource.SEMANTIC_HISTORY}
            (note,) = [
                one for one in reply.degradations if one.reason is DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED
            ]
            assert "a part of the history" in note.detail
            # Words of the search find nothing: the encoder read them.
            assert "news-comet-two-tails" not in sources

    def test_an_item_beside_a_search_that_cannot_be_read_counts_by_its_vector(self, client: Client) -> None:
        readable = [Event("goods-phone-a", EventKind.BUY), Event("", EventKind.SEARCH, text="a warm jasmine tea")]
        unread = Event("", EventKind.SEARCH, text="睡前喝的茉莉花茶叶子")
        without, beside = (
            {
                item.id: view.rank
                for item in client.recommend(events=events, k=50).items
                for view in item.provenance
                if view.source is RecallSource.SEMANTIC_HISTORY
            }
            for events in (readable, [*readable, unread])
        )
        assert max(without["goods-phone-b"], without["goods-tea-jasmine-green"]) <= 6
        assert beside["goods-tea-jasmine-green"] == without["goods-tea-jasmine-green"]
        assert {item_id: without[item_id] for item_id in beside if item_id in without}.items() <= beside.items()
