"""`shortlist events consume`, with librdkafka's own broker in the place of Kafka: no Debian or PyPI package has one."""

import json
import time
import uuid

import pytest

from cli.main import main

confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra `kafka` is not installed")
pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

PHONE, TEA = "goods-phone-a", "goods-tea-jasmine-green"


@pytest.fixture
def broker():
    """A producer that holds a broker, and the broker's address."""
    producer = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    (found,) = producer.list_topics(timeout=20).brokers.values()
    return producer, f"{found.host}:{found.port}"


def send(producer, topic, *events):
    for event in events:
        producer.produce(topic, event if isinstance(event, bytes) else json.dumps(event).encode(), partition=0)
    assert producer.flush(20) == 0


def test_at_least_once_is_once_in_effect(broker, gateway, client, capsys):
    producer, address = broker
    topic, user = f"t-{uuid.uuid4().hex[:8]}", f"user-{uuid.uuid4().hex}"
    send(
        producer,
        topic,
        {"user_id": user, "kind": "buy", "item_id": PHONE, "event_id": "k1"},
        {"user_id": user, "kind": "like", "item_id": TEA, "timestamp": time.time() - 3_600},
        {"user_id": user, "kind": "buy", "item_id": PHONE, "event_id": "k1"},
        b"no event",
        {"user_id": user, "kind": "view", "item_id": TEA, "timestamp": 1},
    )
    words = ["events", "consume", "--kafka", address, "--topic", topic, "--until-end", "--address", gateway.address]
    # The mock broker asks a group's earlier member once more, and waits a session for it: 45 seconds by default.
    words += ["--set", "session.timeout.ms=6000", "--set", "heartbeat.interval.ms=500"]
    assert main([*words, "--group", "one"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("2 events stored, 1 kept already, 2 messages that are not events\n")
    assert user not in said
    assert [event.item_id for event in client.get_user(user_id=user).events] == [TEA, PHONE]
    # Another group begins anew, as one does whose last position was lost: nothing is stored twice.
    assert main([*words, "--group", "two"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 events stored, 3 kept already")
    assert len(client.get_user(user_id=user).events) == 2
    # The first group goes on where it was.
    send(producer, topic, {"user_id": user, "kind": "view", "item_id": TEA})
    assert main([*words, "--group", "one"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 events stored, 0 kept already")


def test_a_setting_that_is_none(capsys):
    words = ["events", "consume", "--kafka", "127.0.0.1:1", "--topic", "t", "--set", "no.such=1"]
    assert main(words) == 1
    assert "no.such" in capsys.readouterr().err
