"""Requests to change the catalogue: what is out of range is the item's own violation."""

import pytest

from server.catalogue.availability import AVAILABLE_UNTIL
from server.catalogue.draft import Outcome, Result
from server.rpc.parse_catalog import parse_deletions, parse_upserts
from shortlist.v1 import catalog_pb2 as pb


def upsert(**fields):
    return pb.ItemUpsert(item={"id": "a", "title": "plum"}, **fields)


@pytest.mark.parametrize("seconds", [0, -1, 2**62, 400_000_000_000])
def test_a_time_to_live_that_ends_nowhere_is_refused_alone(seconds):
    refused, kept = parse_upserts(pb.UpsertItemsRequest(items=[upsert(item_ttl={"seconds": seconds}), upsert()]))
    assert isinstance(refused, Result) and refused.outcome is Outcome.REFUSED
    assert [one.field for one in refused.error.violations] == ["items[0].item_ttl"]
    assert kept.item.id == "a"


def test_a_time_to_live_counts_from_now():
    (kept,) = parse_upserts(pb.UpsertItemsRequest(items=[upsert(item_ttl={"seconds": 60})]))
    assert AVAILABLE_UNTIL in kept.item.attributes


def test_a_version_out_of_range_is_told_the_range():
    (refused,) = parse_deletions(pb.DeleteItemsRequest(items=[{"item_id": "a", "version": 2**63 - 1}]))
    assert "between 1 and 9,223,372,036,854,775,806" in refused.error.violations[0].description
