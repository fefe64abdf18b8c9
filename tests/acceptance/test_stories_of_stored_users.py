"""T1, T3, T4, T5 and T8 with stored users: what a request says of its caller is recorded instead of passed along.

T2 lies in `test_formulas.py`, T7 in `test_stored_users.py`.
"""

import pytest

from shortlist import Client, DegradationReason, RecallSource
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

    def test_beside_a_wish_they_have_no_similarity_and_others_do(self, client: Client) -> None:
        """What is stored in words is one text: with an unreadable title in it, shared words speak, and it is said."""
        reply = client.recommend("a warm scarf", item_ids=["goods-zh-only-a"], include_seen=True, k=300)
        assert [item.id for item in reply.items[:2]] == ["goods-zh-only-a", "goods-luxury-silk-scarf"]
        assert {item.similarity for item in reply.items if item.id.startswith("goods-zh-only")} == {None}
        assert DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED in {one.reason for one in reply.degradations}
