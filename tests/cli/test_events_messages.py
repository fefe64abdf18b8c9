"""Messages of a topic as events: what is not one must not end the consumer, and ids tell places apart."""

import json

import pytest

from cli.events.consume import BadMessage, read_message
from cli.events.ids import fitting_id


class Message:
    def __init__(self, value, topic="t", offset=7):
        self._value, self._topic, self._offset = value, topic, offset

    def value(self):
        return self._value

    def topic(self):
        return self._topic

    def partition(self):
        return 0

    def offset(self):
        return self._offset


def message(topic="t", offset=7, **fields):
    return Message(json.dumps({"user_id": "u", "kind": "view", "item_id": "a", **fields}), topic, offset)


@pytest.mark.parametrize(
    "fields",
    [{"timestamp": 1e20}, {"rank": 2**40}, {"dwell_s": 1e20}, {"timestamp": "x"}, {"weight": "much"}],
)
def test_what_no_message_can_hold_is_not_an_event(fields):
    with pytest.raises(BadMessage, match="at 7"):
        read_message(message(**fields))


@pytest.mark.parametrize(
    "value", [b'{"user_id": "u", "kind": "view", "rank": 1e400}', b"[" * 100_000, b"\xff", b"null", None]
)
def test_what_is_not_json_of_an_event(value):
    with pytest.raises(BadMessage):
        read_message(Message(value))


def test_ids_of_a_long_topic_tell_places_apart():
    first, second = (read_message(message("t" * 249, offset))[1].event_id for offset in (7, 8))
    assert first != second
    assert len(first) <= 128
    assert read_message(message())[1].event_id == "kafka-t-0-7"


def test_an_id_is_measured_in_bytes():
    assert fitting_id("茶" * 42) == "茶" * 42
    assert len(fitting_id("茶" * 43).encode()) <= 128
    assert fitting_id("茶" * 43) != fitting_id("茶" * 44)
