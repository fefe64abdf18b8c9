"""Messages of a stream of events."""

from shortlist import Event, EventKind
from shortlist.event_calls import _EVENTS_A_MESSAGE, _STRETCH, _Messages
from shortlist.event_messages import record_message


def view(item):
    return Event(item, EventKind.VIEW)


def test_events_of_one_user_go_together_in_their_order():
    pairs = [(f"u{number % 3}", view(f"i{number}")) for number in range(9)]
    found = [(one.user_id, [event.item_id for event in one.events]) for one in _Messages(pairs)]
    assert found == [("u0", ["i0", "i3", "i6"]), ("u1", ["i1", "i4", "i7"]), ("u2", ["i2", "i5", "i8"])]


def test_a_message_and_a_stretch_have_an_end():
    pairs = [("u", view(f"i{number}")) for number in range(_STRETCH + 5)]
    sizes = [len(one.events) for one in _Messages(iter(pairs))]
    assert sizes == [_EVENTS_A_MESSAGE] * (_STRETCH // _EVENTS_A_MESSAGE) + [5]


def test_a_repeated_call_sends_everything_again():
    messages = _Messages(iter([("u", view("a"))]))
    assert len(list(messages)) == len(list(messages)) == 1


def test_a_repeat_sends_the_same_ids():
    messages = _Messages(iter([("u", view("a")), ("u", Event("b", EventKind.VIEW, event_id="own"))]))
    first, again = list(messages), list(messages)
    assert first == again
    assert len(first[0].events[0].event_id) == 32
    assert first[0].events[1].event_id == "own"
    one, other = (record_message("u", None, [view("a")]).events[0].event_id for _ in range(2))
    assert one and other and one != other
