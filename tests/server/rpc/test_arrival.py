"""Arrivals of calls, by method and size."""

import time

import pytest

from server.deadline import Deadline
from server.rpc.arrival import arrival_of, host_of
from server.rpc.call import Call


class Context:
    def __init__(self, *metadata):
        self._metadata = metadata

    def invocation_metadata(self):
        return self._metadata

    def peer(self):
        return "ipv4:10.0.0.7:5061"


@pytest.mark.parametrize(
    ("method", "size", "units", "by_words"),
    [
        ("RecommenderService/Recommend", 9_000, 1, True),
        ("RecommenderService/RecommendStream", 9_000, 1, True),
        ("RecommenderService/BatchRecommend", 600, 3, False),
        ("RecommenderService/BatchRecommend", 4_000_000, 32, False),
        ("EmbeddingService/Embed", 10, 1, False),
        ("RankerService/Rank", 1_024, 5, False),
        ("CatalogService/UpsertItems", 1_024, 5, False),
        ("CatalogService/UpsertItemStream", 1_024, 0, False),
        ("CatalogService/GetItem", 100, 0, False),
        ("EventService/RecordEvents", 100_000, 0, False),
    ],
)
async def test_units_by_method_and_size(method, size, units, by_words):
    call = Call(f"/shortlist.v1.{method}", "r", Deadline.after(1.0), time.monotonic())
    arrival = arrival_of(call, size, Context(("x-criticality", "critical")))
    assert (arrival.units, arrival.by_words, arrival.caller) == (units, by_words, "ipv4:10.0.0.7")
    assert 0.9 < arrival.remaining_s <= 1.0


def test_hosts_without_their_ports():
    assert host_of("ipv6:[::1]:5061") == "ipv6:[::1]"
    assert host_of("unix:/tmp/x") == "unix:/tmp/x"
