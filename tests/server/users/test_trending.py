"""Counts of recent events by item: decay, kinds, bounds, and their file; by a clock of the test."""

import pytest

from domain.event import Event, EventKind
from server.users import trending
from server.users.trending import CountsAt, TrendCounts, Trending

DAY_S = 86_400.0


class Clock:
    def __init__(self, now_s=1_800_000_000.0):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


class Everything:
    def __contains__(self, _):
        return True


EVERYTHING = Everything()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counts(clock):
    return TrendCounts(DAY_S, clock, most_items=100)


def add(counts, *events, known=EVERYTHING):
    for item_id, kind, *time_s in events:
        counts.add([Event(item_id, kind, *time_s)], known)


def now(counts):
    return counts.now()().counts


def test_an_event_counts_half_with_every_half_life(counts, clock):
    add(counts, ("a", EventKind.BUY), ("a", EventKind.BUY))
    clock.now_s += DAY_S
    add(counts, ("b", EventKind.BUY), ("b", EventKind.BUY, clock.now_s - 2 * DAY_S))
    assert now(counts) == pytest.approx({"a": 1.0, "b": 1.25})
    clock.now_s += 5.6 * DAY_S
    assert now(counts)["a"] == pytest.approx(2**-5.6)
    clock.now_s += 2 * DAY_S
    assert now(counts) == {}


def test_what_is_newer_overtakes_what_was_chosen_more(counts, clock):
    add(counts, *[("old", EventKind.BUY)] * 5)
    clock.now_s += 2 * DAY_S
    add(counts, *[("new", EventKind.BUY)] * 2)
    assert counts.now()().trends().item_ids == ("new", "old")


def test_kinds_and_weights_count_as_in_a_history(counts):
    add(counts, ("view", EventKind.VIEW), ("comment", EventKind.COMMENT), ("like", EventKind.LIKE))
    add(counts, ("no", EventKind.DISLIKE))
    counts.add([Event("half", EventKind.BUY, weight=0.5)], EVERYTHING)
    assert now(counts) == pytest.approx({"view": 0.5, "comment": 0.7, "like": 1.0, "half": 0.5})


def test_one_call_counts_an_item_once_by_its_strongest_event(counts):
    counts.add([Event("a", EventKind.VIEW), Event("a", EventKind.BUY), Event("a", EventKind.VIEW)], EVERYTHING)
    assert now(counts) == {"a": 1.0}


def test_one_user_makes_nothing_trend_by_repeating(counts, clock, monkeypatch):
    for _ in range(100):
        counts.add([Event("refreshed", EventKind.VIEW)], EVERYTHING, "ann")
    for user in ("bea", "cem"):
        counts.add([Event("bought", EventKind.BUY)], EVERYTHING, user)
    assert now(counts) == {"refreshed": 0.5, "bought": 2.0}
    counts.add([Event("refreshed", EventKind.BUY)], EVERYTHING, "ann")
    assert now(counts)["refreshed"] == 1.0
    # A day later the purchase counts half, and one of then in full.
    clock.now_s += DAY_S
    counts.add([Event("refreshed", EventKind.VIEW)], EVERYTHING, "ann")
    assert now(counts)["refreshed"] == pytest.approx(0.5)
    counts.add([Event("refreshed", EventKind.BUY)], EVERYTHING, "ann")
    assert now(counts)["refreshed"] == pytest.approx(1.0)
    # Also where the sums begin from a later moment.
    counts._begin(clock.now_s, counts._growth(clock.now_s))
    counts.add([Event("refreshed", EventKind.BUY)], EVERYTHING, "ann")
    assert now(counts)["refreshed"] == pytest.approx(1.0)
    monkeypatch.setattr(trending, "_PAIRS", 2)
    for number in range(9):
        counts.add([Event(f"item-{number}", EventKind.BUY)], EVERYTHING, "ann")
    assert len(counts._given) <= 3


def test_only_known_items_and_no_old_loads_are_held(counts, clock):
    add(counts, ("a", EventKind.BUY), ("x", EventKind.BUY), known={"a"})
    add(counts, *[(f"old-{number}", EventKind.BUY, clock.now_s - 30 * DAY_S) for number in range(50)])
    assert len(counts) == 1
    add(counts, ("later", EventKind.BUY, clock.now_s + 900 * DAY_S))
    assert now(counts) == {"a": 1.0, "later": 1.0}


async def test_memory_is_bounded_and_the_most_chosen_stay(counts, tmp_path):
    trending = Trending(counts, tmp_path / "trending.json")
    add(counts, *[("best", EventKind.BUY)] * 3)
    for number in range(1_000):
        add(counts, (f"item-{number}", EventKind.BUY))
        if number % 10 == 0:
            await trending.refresh()
            assert len(counts) <= 125
    assert now(counts)["best"] == 3.0


def test_what_is_counted_again_meanwhile_is_not_dropped(counts):
    for number in range(150):
        add(counts, (f"item-{number:03}", EventKind.VIEW))
    dropped = counts.smallest()()
    again = min(dropped)
    add(counts, (again, EventKind.BUY))
    counts.drop(dropped)
    assert len(dropped) == 50
    assert len(counts) == 101
    assert again in now(counts)


@pytest.mark.parametrize("half_life_s", [90.0, DAY_S])
def test_years_without_events_and_a_clock_set_back(half_life_s):
    clock = Clock()
    counts = TrendCounts(half_life_s, clock)
    for _ in range(6):
        add(counts, ("a", EventKind.BUY))
        clock.now_s += 400 * half_life_s
    clock.now_s += 20_000 * half_life_s
    assert now(counts) == {}
    add(counts, ("b", EventKind.BUY))
    clock.now_s -= 5_000 * half_life_s
    assert now(counts) == pytest.approx({"b": 1.0})
    add(counts, ("b", EventKind.BUY))
    assert now(counts) == pytest.approx({"b": 2.0})


async def test_counts_go_on_after_a_restart(clock, counts, tmp_path):
    first = Trending(counts, tmp_path / "state" / "trending.json")
    await first.open()
    assert first.trends.item_ids == ()
    first.add([Event("a", EventKind.BUY), Event("b", EventKind.VIEW)], EVERYTHING)
    await first.save()
    clock.now_s += DAY_S
    second = Trending(TrendCounts(DAY_S, clock), tmp_path / "state" / "trending.json")
    await second.open()
    assert dict(zip(second.trends.item_ids, second.trends.counts, strict=True)) == pytest.approx({"a": 0.5, "b": 0.25})


@pytest.mark.parametrize("content", ["", "[]", '{"counts": 3, "time_s": 1}', '{"counts": {"a": NaN}, "time_s": 1}'])
async def test_a_damaged_file_is_passed_over(counts, tmp_path, content):
    path = tmp_path / "trending.json"
    path.write_text(content)
    trending = Trending(counts, path)
    await trending.open()
    assert trending.trends.item_ids == ()
    trending.add([Event("a", EventKind.BUY)], EVERYTHING)
    await trending.save()
    assert CountsAt.load(path).counts == {"a": 1.0}


async def test_a_file_that_cannot_be_written_does_not_end_the_gateway(counts, tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    trending = Trending(counts, tmp_path / "state" / "trending.json")
    trending.add([Event("a", EventKind.BUY)], EVERYTHING)
    await trending.save()
    await trending.refresh()
    assert trending.trends.item_ids == ("a",)
