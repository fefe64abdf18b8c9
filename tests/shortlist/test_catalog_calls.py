"""Calls about the catalogue: the asynchronous client has those of the other one, with the same words and results."""

import inspect
from types import SimpleNamespace

import pytest

from shortlist import AsyncClient, ChangeOutcome, Client, NewItem
from shortlist.v1 import catalog_pb2


def test_both_clients_have_the_same_methods():
    def methods(kind):
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(method).parameters) for name, method in found if name[0] != "_"}

    assert methods(AsyncClient) == methods(Client)


def changed(ids):
    outcome = "CHANGE_OUTCOME_APPLIED"
    return SimpleNamespace(results=[catalog_pb2.ChangeResult(item_id=one, outcome=outcome, version=3) for one in ids])


@pytest.mark.asyncio
async def test_changes_go_out_and_their_outcomes_come_back():
    sent = []

    async def change(message, **_):
        sent.append(message)
        return changed([getattr(one, "item_id", "") or one.item.id for one in message.items])

    async def get(message, **_):
        return catalog_pb2.GetItemResponse(item={"id": message.item_id}, version=3)

    async def listed(message, **_):
        return catalog_pb2.ListItemsResponse(items=[{"item": {"id": "a"}}], total_count=message.page_size)

    names = ("UpsertItems", "DeleteItems", "SetAvailability", "SetAttributes")
    async with AsyncClient("127.0.0.1:1") as client:
        client._catalog = SimpleNamespace(**dict.fromkeys(names, change), GetItem=get, ListItems=listed)
        assert [one.item_id for one in await client.upsert_items([NewItem("a", "A"), NewItem("b", "B")])] == ["a", "b"]
        many = [one.item_id async for one in client.upsert_many(NewItem(f"i{n}", "x") for n in range(501))]
        assert many == [f"i{n}" for n in range(501)]
        assert [len(message.items) for message in sent] == [2, 500, 1]
        assert [one.outcome for one in await client.delete_items(["a"], version=3)] == [ChangeOutcome.APPLIED]
        assert (await client.set_availability("a", available=False)).version == 3
        assert sent[-1].items[0].available is False
        assert (await client.set_attributes("a", {"price": 3.5}, removed=["colour"])).item_id == "a"
        assert sent[-1].items[0].removed == ["colour"]
        assert (await client.get_item("a")).item.id == "a"
        assert (await client.list_items(page_size=7)).total_count == 7
