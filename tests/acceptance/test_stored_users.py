"""What is kept of users changes what they see next: through the real service, with the sample catalogue."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from urllib.request import urlopen

import pytest

from shortlist import (
    Client,
    DegradationReason,
    Event,
    EventConflict,
    EventKind,
    InvalidRequest,
    SeenRule,
    ShortlistCallError,
)
from tests.support.running import ROOT, start_gateway

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

PHONE, COFFEE, TEA = "goods-phone-a", "goods-coffee-hazelnut", "goods-tea-jasmine-green"


def ids(reply):
    return [item.id for item in reply.items]


@pytest.fixture
def user():
    return f"user-{uuid.uuid4().hex}"


def test_the_next_list_counts_what_was_recorded(client, user):
    before = client.recommend(user_id=user, k=20)
    assert DegradationReason.COLD_START in {one.reason for one in before.degradations}
    done = client.record_events([Event(PHONE, EventKind.BUY, event_id="e1")], user_id=user)
    assert (done.recorded_count, done.duplicate_count, done.durable, done.unknown_item_ids) == (1, 0, True, ())
    after = client.recommend(user_id=user, k=20, event_token=done.event_token)
    passed = client.recommend(events=[Event(PHONE, EventKind.BUY)], k=20)
    assert ids(after) == ids(passed)
    assert len(set(ids(after)) & set(ids(before))) / len(set(ids(after)) | set(ids(before))) < 0.9
    assert PHONE not in ids(after)
    assert after.stage_times.user_ms > 0


def test_with_a_text_the_text_still_leads(client, user):
    client.record_events([Event(PHONE, EventKind.BUY)], user_id=user)
    plain = client.recommend("green tea", k=3)
    personal = client.recommend("green tea", user_id=user, k=3)
    assert ids(plain)[0] == ids(personal)[0]


def test_a_user_is_not_a_session_of_the_same_id(client, user):
    client.record_events([Event(PHONE, EventKind.BUY)], user_id=user)
    assert not client.get_user(session_id=user).found
    assert client.get_user(user_id=user).found


def test_retries_and_conflicts(client, user):
    events = [Event(PHONE, EventKind.BUY, event_id="e1"), Event(TEA, EventKind.LIKE, event_id="e2")]
    client.record_events(events, user_id=user)
    again = client.record_events(events, user_id=user)
    assert (again.recorded_count, again.duplicate_count) == (0, 2)
    with pytest.raises(EventConflict, match=r"events\[0\]"):
        client.record_events([Event(COFFEE, EventKind.BUY, event_id="e1")], user_id=user)
    assert [event.item_id for event in client.get_user(user_id=user).events] == [PHONE, TEA]


def test_unknown_items_are_kept_and_named(client, user):
    done = client.record_events([Event("no-such-item", EventKind.VIEW), Event(TEA, EventKind.LIKE)], user_id=user)
    assert done.unknown_item_ids == ("no-such-item",)
    assert len(client.get_user(user_id=user).events) == 2


def test_events_given_twice_count_once(client, user):
    event = Event(PHONE, EventKind.BUY, event_id="e1")
    client.record_events([event], user_id=user)
    once = client.recommend(user_id=user, k=10, explain=True)
    both = client.recommend(user_id=user, events=[event], k=10, explain=True)
    assert [(item.id, item.score) for item in once.items] == [(item.id, item.score) for item in both.items]


def trending(client, seen):
    """Asks until the list, made anew every second, is as awaited."""
    for _ in range(100):
        reply = client.recommend(scene="trending", explain=True)
        if seen(reply):
            return reply
        time.sleep(0.1)
    raise AssertionError(f"not trending: {reply}")


def test_what_many_choose_is_trending(gateway, client, user, beside, tmp_path):
    shoes, pot = "goods-running-shoes", "goods-moka-pot"
    scenes = ["--scenes", str(ROOT / "sample" / "scenes.toml")]
    other = start_gateway(tmp_path, *beside, *scenes, command="serve")
    try:
        with Client(other.address, deadline_s=5.0) as fresh:
            before = fresh.recommend(scene="trending")
            for number in range(3):
                for _ in range(4):
                    # A retry counts once.
                    fresh.record_events([Event(pot, EventKind.BUY, event_id="e")], user_id=f"{user}-{number}")
            pairs = [(f"{user}-{number}", Event(shoes, EventKind.BUY)) for number in range(5)]
            shown = [(user, Event(TEA, EventKind.IMPRESSION))] * 50 + [
                (user, Event("no-such-item", EventKind.BUY))
            ] * 50
            fresh.record_events_stream([*pairs, *shown])
            reply = trending(fresh, lambda reply: ids(reply)[:2] == [shoes, pot])
            found_by = [{view.source.name for view in item.provenance} for item in reply.items]
            assert "TRENDING" in found_by[0]
            assert "TRENDING" not in found_by[2]
            assert reply.items[0].explanation is not None
            assert ids(before)[:2] != [shoes, pot]
            fresh.delete_user(user_id=user)
    finally:
        assert other.stop() == 0
    kept = (tmp_path / "state" / "trending.json").read_text()
    assert user not in kept
    again = start_gateway(tmp_path, *beside, *scenes, command="serve")
    try:
        with Client(again.address, deadline_s=5.0) as fresh:
            assert ids(fresh.recommend(scene="trending"))[:2] == [shoes, pot]
    finally:
        assert again.stop() == 0


def test_a_session_becomes_a_user(client, user):
    session = f"s-{user}"
    client.record_events_stream([(session, Event(PHONE, EventKind.VIEW, event_id="e1"))], of_sessions=True)
    merged = client.merge_session(session, user)
    assert merged.merged_count == 1
    assert ids(client.recommend(user_id=user, event_token=merged.event_token, k=5))
    assert client.merge_session(session, user).merged_count == 0
    assert not client.get_user(session_id=session).found
    assert [event.item_id for event in client.get_user(user_id=user).events] == [PHONE]


def test_erasure_through_the_service(gateway, client, user):
    state = gateway.output.parent / "state"
    secret = f"secret{uuid.uuid4().hex}"
    event = Event(PHONE, EventKind.COMMENT, comment=f"love it {secret}", event_id=f"id-{secret}")
    client.record_events([event], user_id=user)
    assert any(secret.encode() in path.read_bytes() for path in state.rglob("users.sqlite*"))
    assert client.delete_user(user_id=user)
    assert not client.delete_user(user_id=user)
    for path in state.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert secret.encode() not in content, path
            assert user.encode() not in content, path
    reply = client.recommend(user_id=user)
    assert DegradationReason.COLD_START in {one.reason for one in reply.degradations}


def test_texts_are_masked(client, user):
    comment = "call 13812345678 or write ann@example.com, card 4111 1111 1111 1111; 身份证11010519491231002X"
    client.record_events(
        [Event(PHONE, EventKind.COMMENT, comment=comment), Event("", EventKind.SEARCH, text="mail bob@example.org")],
        user_id=user,
    )
    kept = client.get_user(user_id=user).events
    assert kept[0].comment == "call [phone] or write [mail], card [card]; 身份证[id]"
    assert kept[1].text == "mail [mail]"


def test_what_was_consumed_is_left_out_by_kind_and_age(client, user):
    old = datetime.now(UTC) - timedelta(days=3)
    client.record_events(
        [
            Event(PHONE, EventKind.BUY, time=old),
            Event(TEA, EventKind.VIEW, time=old),
            Event(COFFEE, EventKind.VIEW),
        ],
        user_id=user,
    )
    shown = ids(client.recommend(user_id=user, k=1_000))
    assert (PHONE in shown, TEA in shown, COFFEE in shown) == (False, True, False)
    shown = ids(client.recommend(user_id=user, k=1_000, seen_rules=[SeenRule(EventKind.VIEW)]))
    assert (PHONE in shown, TEA in shown, COFFEE in shown) == (True, False, False)
    shown = ids(client.recommend(user_id=user, k=1_000, include_seen=True))
    assert (PHONE in shown, TEA in shown, COFFEE in shown) == (True, True, True)


def test_what_was_disliked_never_comes_back(client, user):
    client.record_events([Event(PHONE, EventKind.VIEW), Event(PHONE, EventKind.VIEW, rating=1.0)], user_id=user)
    rules = [SeenRule(EventKind.BUY)]
    assert PHONE not in ids(client.recommend(user_id=user, k=1_000, seen_rules=rules))


def test_what_is_shown_and_never_touched_sinks(client, user):
    client.record_events([Event(TEA, EventKind.LIKE)], user_id=user)
    before = ids(client.recommend(user_id=user, k=30))
    shown = [Event(item_id, EventKind.IMPRESSION) for item_id in before[:3] for _ in range(12)]
    client.record_events(shown, user_id=user)
    after = ids(client.recommend(user_id=user, k=30))
    assert all(after.index(one) > before.index(one) if one in after else True for one in before[:3])
    assert after[0] not in before[:3]
    # A touch takes it back.
    client.record_events([Event(before[0], EventKind.VIEW, time=datetime.now(UTC) - timedelta(days=2))], user_id=user)
    assert before[0] in ids(client.recommend(user_id=user, k=10))


def test_without_repeats(client, user):
    seen = []
    for _ in range(8):
        reply = client.recommend(user_id=user, k=20, without_repeats=True)
        assert not set(ids(reply)) & set(seen)
        seen += ids(reply)
    assert client.get_user(user_id=user).shown_count == len(seen) == 160
    assert client.delete_user(user_id=user)
    assert client.get_user(user_id=user).shown_count == 0


def test_events_tell_where_they_came_from(client, user, gateway):
    client.record_events([Event(TEA, EventKind.LIKE)], user_id=user)
    reply = client.recommend(user_id=user, k=5, request_id=f"req-{user}")
    first, second = reply.items[:2]
    client.record_events(
        [
            Event(first.id, EventKind.CLICK, attribution_token=first.attribution_token),
            Event(second.id, EventKind.CLICK, request_id=reply.request_id, rank=second.rank),
        ],
        user_id=user,
    )
    kept = client.get_user(user_id=user).events
    tokens = [event.attribution_token for event in kept if event.attribution_token]
    assert tokens == [first.attribution_token, second.attribution_token]
    assert client.recommend("tea").items[0].attribution_token == ""


def test_a_token_is_checked(client, user):
    for token in ("nonsense", "AAAAAAAAAAAAAAAAAAAAAA"):
        with pytest.raises(InvalidRequest, match="event_token"):
            client.recommend(user_id=user, event_token=token)


def test_statements_and_a_profile_speak(client, user):
    by_profile = client.recommend(user_id=user, profile="drinks green tea every day", k=5)
    assert any("tea" in item.id for item in by_profile.items)
    client.record_events([Event("", EventKind.SEARCH, text="green tea")], user_id=user)
    by_search = client.recommend(user_id=user, k=5)
    assert any("tea" in item.id for item in by_search.items)


def test_what_to_ask_a_new_user(client, user):
    (first,) = client.elicit(user_id=user)
    assert 0 < first.expected_gain <= 1
    client.record_events([Event(first.id, EventKind.DISLIKE)], user_id=user)
    others = client.elicit(user_id=user, k=5)
    assert first.id not in {one.id for one in others}
    assert len({one.id for one in others}) == 5
    # What they have no opinion on is not asked again, and nothing is known by it.
    client.record_events([Event(others[0].id, EventKind.IMPRESSION)], user_id=user)
    left = client.elicit(user_id=user, k=5)
    assert left == client.elicit(events=[Event(first.id, EventKind.DISLIKE)], exclude_item_ids=[others[0].id], k=5)
    assert others[0].id not in {one.id for one in left}
    with pytest.raises(InvalidRequest):
        client.elicit(k=0)


def test_the_stream_stores_many_users(client, user):
    pairs = [(f"{user}-{number % 7}", Event(TEA, EventKind.VIEW, event_id=f"e{number}")) for number in range(700)]
    done = client.record_events_stream(pairs)
    assert (done.recorded_count, done.duplicate_count, done.durable) == (700, 0, True)
    again = client.record_events_stream(pairs)
    assert (again.recorded_count, again.duplicate_count) == (0, 700)
    assert len(client.get_user(user_id=f"{user}-0").events) == 100
    bad = [(user, Event(TEA, EventKind.VIEW)), (f"{user}-x", Event("", EventKind.VIEW))]
    with pytest.raises(InvalidRequest, match="item_id"):
        client.record_events_stream(bad)


def test_state_grown_event_by_event_equals_the_one_made_at_once(client, user):
    """T7, through the service: a reply after each event, and one after all of them at once."""
    now_s = time.time() - 3_600
    items = [PHONE, TEA, COFFEE, "goods-running-shoes"]
    events = [
        Event(item, kind, time=datetime.fromtimestamp(now_s + 60 * place, UTC), event_id=f"e{place}")
        for place, (item, kind) in enumerate(
            zip(items * 3, [EventKind.VIEW, EventKind.LIKE, EventKind.BUY, EventKind.DISLIKE] * 3, strict=True)
        )
    ]
    for event in events:
        client.record_events([event], user_id=user)
        grown = client.recommend(user_id=user, k=30)
    client.record_events(events, user_id=f"{user}-once")
    once = client.recommend(user_id=f"{user}-once", k=30)
    assert ids(grown) == ids(once)
    assert [item.score for item in grown.items] == pytest.approx([item.score for item in once.items], abs=1e-6)
    earlier = client.recommend(events=events[:6], k=30)
    client.record_events(events[:6], user_id=f"{user}-six")
    rules = [SeenRule(kind) for kind in EventKind if kind.name not in ("IMPRESSION", "NOT_HELPFUL", "SEARCH")]
    six = client.recommend(user_id=f"{user}-six", k=30, seen_rules=rules)
    assert ids(six) == ids(earlier)


@pytest.fixture
def beside(gateway, releases, model_repository):
    """Flags of another gateway beside the shared one, on its Triton."""
    words = ["--releases", str(releases), "--model-repository", str(model_repository)]
    return [*words, "--triton", gateway.triton_address]


def test_another_gateway_on_the_same_store_sees_it(gateway, client, user, beside, tmp_path):
    state = gateway.output.parent / "state"
    store = ["--event-store", str(state / "users.sqlite"), "--event-key-file", str(state / "users.key")]
    other = start_gateway(tmp_path, *beside, *store, command="serve")
    try:
        with Client(other.address, deadline_s=5.0) as second:
            done = client.record_events([Event(PHONE, EventKind.BUY)], user_id=user)
            here = client.recommend(user_id=user, k=10)
            there = second.recommend(user_id=user, k=10, event_token=done.event_token)
            assert ids(here) == ids(there)
            done = second.record_events([Event(TEA, EventKind.LIKE)], user_id=user)
            assert ids(client.recommend(user_id=user, k=10, event_token=done.event_token)) != ids(here)
            assert second.delete_user(user_id=user)
            assert not client.get_user(user_id=user).found
    finally:
        assert other.stop() == 0


def test_a_gateway_that_keeps_no_events_says_so(beside, tmp_path):
    other = start_gateway(tmp_path, *beside, "--event-store", "off", command="serve")
    try:
        with Client(other.address, deadline_s=5.0) as client:
            with pytest.raises(ShortlistCallError, match="event_store is off"):
                client.record_events([Event(PHONE, EventKind.BUY)], user_id="u")
            assert client.recommend(user_id="u").items
    finally:
        assert other.stop() == 0


def test_nothing_personal_is_logged_or_measured(beside, tmp_path):
    """Canary strings in ids, texts, keys and refusals, at the most talkative level of the log."""
    canary = f"canary{uuid.uuid4().hex}"
    other = start_gateway(tmp_path, *beside, "--log-level", "debug", "--log-format", "json", command="serve")
    try:
        with Client(other.address, deadline_s=5.0) as client:
            event = Event(PHONE, EventKind.COMMENT, comment=f"c {canary}", event_id=f"e-{canary}", item_title=canary)
            client.record_events([event], user_id=f"u-{canary}")
            client.record_events([Event("", EventKind.SEARCH, text=canary)], session_id=f"s-{canary}")
            client.recommend(canary, user_id=f"u-{canary}", profile=canary, without_repeats=True)
            client.merge_session(f"s-{canary}", f"u-{canary}")
            client.get_user(user_id=f"u-{canary}")
            client.elicit(user_id=f"u-{canary}")
            refused = []
            for bad in (
                lambda: client.record_events(
                    [Event(TEA, EventKind.BUY, event_id=f"e-{canary}")], user_id=f"u-{canary}"
                ),
                lambda: client.recommend(user_id=f"u-{canary}", event_token=canary),
                lambda: client.record_events([Event(canary, EventKind.SEARCH)], user_id=f"u-{canary}"),
            ):
                with pytest.raises(ShortlistCallError) as refusal:
                    bad()
                refused.append(str(refusal.value.message))
            (tmp_path / "state" / "users.sqlite").unlink()
            with pytest.raises(ShortlistCallError, match="gone") as refusal:
                client.record_events([event], user_id=f"u-{canary}")
            degraded = client.recommend(user_id=f"u-{canary}")
            assert DegradationReason.USER_HISTORY_UNAVAILABLE in {one.reason for one in degraded.degradations}
            with urlopen(f"http://{other.metrics_address}/metrics") as page:
                metrics = page.read().decode()
    finally:
        assert other.stop() == 0
    assert canary not in other.text()
    assert canary not in metrics
    assert not [message for message in refused if canary in message]
