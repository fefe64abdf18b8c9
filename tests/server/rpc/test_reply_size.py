import numpy as np
import pytest

from domain.errors import ReplyTooLarge
from domain.item import AttributeType, Item
from server.rpc.reply_size import ItemSizes, check_expected
from shortlist.v1 import recommender_pb2 as pb
from tests.support.dict_catalogue import DictCatalogue


@pytest.fixture(scope="module")
def sizes() -> ItemSizes:
    entries = {
        f"item-{number:03}": (
            Item(f"item-{number:03}", "t" * 20, "x" * 1_000, True, {"price": 9.5, "brand": "b" * 40}),
            np.ones(2, np.float32),
        )
        for number in range(300)
    }
    return ItemSizes.of(DictCatalogue(entries, {"price": AttributeType.NUMBER, "brand": AttributeType.STRING}))


def request(*paths, **fields):
    """A request for details; one of an attribute is named beside the mask."""
    return pb.RecommendRequest(item_mask={"paths": paths} if paths else None, **fields)


def test_details_count_as_far_as_they_are_asked_for(sizes):
    plain = sizes.expected_bytes(request(), 100)
    assert 2_000 < plain < 15_000
    assert sizes.expected_bytes(request("title"), 100) == pytest.approx(plain + 100 * (8 + 23))
    assert sizes.expected_bytes(request("text"), 100) > plain + 100_000
    assert sizes.expected_bytes(request("*"), 100) > sizes.expected_bytes(request("text"), 100)
    assert sizes.expected_bytes(request(item_attributes=["brand"]), 100) > plain + 4_000
    assert sizes.expected_bytes(request(item_attributes=["price"]), 100) < plain + 4_000
    assert sizes.expected_bytes(request(item_attributes=["*"]), 100) == sizes.expected_bytes(request("attributes"), 100)
    assert sizes.expected_bytes(request(explain=True), 100) > plain


def test_no_reply_has_more_items_than_the_catalogue(sizes):
    assert sizes.expected_bytes(request("*"), 10**6) == sizes.expected_bytes(request("*"), 300)


def test_it_is_near_the_truth(sizes):
    reply = pb.RecommendResponse(
        items=[
            pb.RecommendedItem(
                id=f"item-{number:03}",
                rank=number + 1,
                score=0.5,
                similarity=0.5,
                provenance=[pb.Provenance(source=1, rank=number, score=0.3)],
                item={"id": f"item-{number:03}", "title": "t" * 20, "text": "x" * 1_000, "available": True,
                      "attributes": {"price": {"number_value": 9.5}, "brand": {"string_value": "b" * 40}}},
            )
            for number in range(300)
        ]
    )  # fmt: skip
    assert sizes.expected_bytes(request("*"), 300) == pytest.approx(reply.ByteSize(), rel=0.1)


def test_only_what_is_clearly_too_much_is_refused():
    check_expected(1_200, 1_000)
    with pytest.raises(ReplyTooLarge, match="at most 1,000; ask for fewer items"):
        check_expected(1_300, 1_000)
