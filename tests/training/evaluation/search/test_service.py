"""Many requests with a client of our own: bounds, refusals, failures."""

import asyncio

import pytest

from domain.progress import SilentProgress
from shortlist import InvalidRequest, RankedItem, Shortlist, StageTimes, Unavailable
from shortlist.errors import Failure
from shortlist.results import ItemDetails
from training.evaluation.search.service import ServiceFailed, ServiceRequest, ask_service


class Answering:
    """A client that answers each text with an item of that id."""

    def __init__(self, errors=None):
        self.errors = errors or {}
        self.under_way = self.most = 0
        self.asked = []

    async def recommend(self, text, **fields):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.asked.append((text, fields))
        await asyncio.sleep(0)
        self.under_way -= 1
        if text in self.errors:
            raise self.errors[text]
        item = RankedItem(text, 1, 0.5, None, (), None, ItemDetails(text, f"Title {text}", "", True, {}), relevance=0.9)
        return Shortlist((item,), "r1", StageTimes(total_ms=3.0), (), 0, 0.0, (), "id", corrected_text="corrected")


def _requests(count):
    return [ServiceRequest(f"t{number}", {"k": 5}) for number in range(count)]


async def test_lists_come_in_the_order_of_the_requests_a_few_at_a_time():
    client = Answering()
    lists = await ask_service(client, _requests(50), SilentProgress(), in_flight=8)
    assert [answer.ids for answer in lists] == [[f"t{number}"] for number in range(50)]
    assert client.most == 8
    [item] = lists[3].items
    assert (item.title, item.score, item.relevance) == ("Title t3", 0.5, 0.9)
    assert (lists[3].corrected_text, lists[3].stage_times.total_ms) == ("corrected", 3.0)
    assert {(fields["k"], fields["item_mask"]) for _, fields in client.asked} == {(5, ("title",))}


async def test_a_refused_request_is_an_empty_list_that_says_why():
    client = Answering({"t1": InvalidRequest(Failure("INVALID_ARGUMENT", "text: too long"), "id")})
    lists = await ask_service(client, _requests(3), SilentProgress())
    assert [(answer.ids, answer.refusal) for answer in lists] == [
        (["t0"], ""),
        ([], "text: too long"),
        (["t2"], ""),
    ]


async def test_a_text_that_no_message_can_hold_is_an_empty_list_that_says_why():
    client = Answering({"t1": ValueError("surrogates not allowed")})
    lists = await ask_service(client, _requests(3), SilentProgress())
    assert [answer.refusal for answer in lists] == ["", "no message can hold the text: surrogates not allowed", ""]


async def test_a_call_that_fails_ends_the_rest():
    client = Answering({"t4": Unavailable(Failure("UNAVAILABLE", "nobody there"), "id")})
    with pytest.raises(ServiceFailed, match="nobody there"):
        await ask_service(client, _requests(1_000), SilentProgress(), in_flight=2)
    assert len(client.asked) < 20


async def test_no_requests_are_no_lists():
    assert await ask_service(Answering(), [], SilentProgress()) == []
