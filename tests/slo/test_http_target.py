import asyncio

import pytest

from domain.errors import ConfigurationError
from slo.calls import CallKind, embed_call, recorded_call, text_call
from slo.http_target import HttpMapping, HttpTarget, ids_at
from slo.target import DEADLINE_EXCEEDED, OK, UNREADABLE_REPLY, Reply
from tests.support.echo_server import Behaviour, http_server

HISTORY = recorded_call(CallKind.HISTORY, {"item_ids": ["i7", "i8"], "k": 4})
MAPPING = HttpMapping('{"query": "{text}", "top": "{k}", "liked": "{item_ids}"}', "results.*.id")


def ask(url, calls, mapping=MAPPING, timeout_s=5.0):
    async def send():
        connection = await HttpTarget(url, mapping).connect(tuple(calls))
        try:
            return [await connection.send(index, timeout_s) for index in range(len(calls))]
        finally:
            await connection.close()

    return asyncio.run(send())


def test_calls_become_requests_and_replies_become_ids():
    with http_server(Behaviour()) as url:
        first, second = ask(url, [text_call('a {k} "quoted" 青', 3), HISTORY])
        sent = http_server.received
    assert first == Reply(OK, (), ("i1", "i2", "i3"))
    assert second.item_ids == ("i1", "i2", "i3", "i4")
    assert sent[0] == {"query": 'a {k} "quoted" 青', "top": 3, "liked": []}
    assert sent[1] == {"query": "", "top": 4, "liked": ["i7", "i8"]}


def test_the_url_takes_values_too():
    with http_server(Behaviour()) as url:
        mapping = HttpMapping("", "results.*.id", "GET")
        assert ask(f"{url}?query={{text}}&top={{k}}", [text_call("a & b", 2)], mapping) == [Reply(OK, (), ("i1", "i2"))]
        assert http_server.received == [{"query": "a & b", "top": "2"}]


def test_failures_are_codes():
    with http_server(Behaviour()) as url:
        codes = [reply.code for reply in ask(url, [text_call("refuse", 3), text_call("garble", 3), text_call("ok", 3)])]
        gone = url
    assert codes == ["HTTP_503", UNREADABLE_REPLY, OK]
    assert ask(gone, [text_call("a", 3)])[0].code == "UNAVAILABLE"
    with http_server(Behaviour(service_s=3.0)) as url:
        assert ask(url, [text_call("a", 3)], timeout_s=0.2)[0].code == DEADLINE_EXCEEDED


def test_what_a_peer_does_not_take_is_refused():
    with pytest.raises(ConfigurationError, match="take embed out of the mix"):
        ask("http://127.0.0.1:1/", [embed_call("a")])
    with pytest.raises(ConfigurationError, match="--http-body is JSON"):
        HttpMapping("{query: text}")
    with pytest.raises(ConfigurationError, match="1 to 900"):
        HttpMapping(connection_count=1000)


def test_paths_reach_into_replies():
    reply = {"hits": {"hits": [{"_id": 1}, {"_id": 2}]}, "ids": ["a", "b"], "pairs": [["x", 0.5], ["y", 0.4]]}
    assert ids_at(reply, ["hits", "hits", "*", "_id"]) == [1, 2]
    assert ids_at(reply, ["ids"]) == ["a", "b"] == ids_at(reply, ["ids", "*"])
    assert ids_at(reply, ["pairs", "*", "0"]) == ["x", "y"]
    for path in (["none"], ["ids", "*", "id"], ["hits", "*"]):
        with pytest.raises((LookupError, TypeError, ValueError)):
            ids_at(reply, path)
