from domain.event import Event, EventKind, in_order


def test_events_are_told_oldest_first_and_undated_ones_last_in_the_order_given():
    events = tuple(
        Event(name, EventKind.VIEW, time_s)
        for name, time_s in [("u1", None), ("late", 9.0), ("u2", None), ("early", -5.0), ("zero", 0.0), ("late2", 9.0)]
    )
    assert [event.item_id for event in in_order(events)] == ["early", "zero", "late", "late2", "u1", "u2"]
