"""Counts of choices: what is read of changed records alone equals a whole reading."""

import random
import time

import pytest

from core.retrieval.choice_counts import ChoiceCounts
from server.users.choices import ChoiceReader
from server.users.record import Retention
from server.users.store import Append
from shortlist.v1 import event_pb2
from tests.server.users.conftest import KEY
from tests.server.users.test_store import event, put

KINDS = (event_pb2.EVENT_KIND_VIEW, event_pb2.EVENT_KIND_LIKE, event_pb2.EVENT_KIND_DISLIKE)
DAY_S = 86_400.0


class CountedReads:
    """A store that counts the records read."""

    def __init__(self, store):
        self._store = store
        self.read_count = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def read(self, pseudonyms):
        self.read_count += len(pseudonyms)
        return await self._store.read(pseudonyms)


def found(counts: ChoiceCounts):
    """Returns the counts by item id, whatever the order of the records."""
    first, second, users = counts.pairs()
    of_item = dict(zip(counts.item_ids, counts.users().tolist(), strict=True))
    pairs = {
        frozenset((counts.item_ids[a], counts.item_ids[b])): count
        for a, b, count in zip(first.tolist(), second.tolist(), users.tolist(), strict=True)
    }
    return counts.user_count, of_item, pairs


async def both(reader, store, since_s, oldest_s=0.0):
    """Returns the reader's counts, after comparing them with a whole reading."""
    counts = found(await reader.counted(store, since_s, oldest_s))
    assert counts == found(await ChoiceReader().counted(store, since_s, oldest_s))
    return counts


async def test_after_any_changes_the_counts_are_those_of_a_whole_reading(place):
    store, draw, now_s = await place.open(), random.Random(4), time.time()
    readers = [ChoiceReader(), ChoiceReader(most_bytes=8_000)]
    people, days = [KEY.user(f"u{n}") for n in range(130)], Retention(days=60)
    for turn in range(6):
        for name in draw.sample(people, 130 if turn == 0 else 30):
            ages_s = [DAY_S * draw.uniform(0, 50) for _ in range(draw.randint(1, 8))]
            events = [event(f"i{draw.randint(0, 20)}", kind=draw.choice(KINDS), age_s=age_s) for age_s in ages_s]
            await put(store, name, *events, keep=days)
        if turn in (2, 4):
            await store.delete(draw.sample(people, 9))
            await store.merge(people[turn], people[-1], days)
            await store.sweep(Retention(days=45), Retention(days=7), now_s)
        await store.append(Append(KEY.shown(people[0]), [event("shown")], days))
        for since_s in (now_s - 20 * DAY_S, 0.0):
            for reader in readers:
                # With each turn more events are too old, also of users who did nothing since.
                counts = await both(reader, store, since_s, now_s - (52 - 4 * turn) * DAY_S)
                assert counts[0] > 50
                assert "shown" not in counts[1]


async def test_only_changed_records_are_read_again(place):
    store, reader = CountedReads(await place.open()), ChoiceReader()
    people = [KEY.user(f"u{n}") for n in range(120)]
    for number, name in enumerate(people):
        await put(store, name, event(f"i{number % 7}"), event("common"))
    assert (await reader.counted(store, 0.0, 0.0)).user_count == store.read_count == 120
    for change, read in ((lambda: put(store, people[3], event("new")), 1), (lambda: store.delete(people[5:9]), 0)):
        await change()
        before = store.read_count
        counts = await reader.counted(store, 0.0, 0.0)
        assert store.read_count - before == read
    assert counts.user_count == 116
    assert found(counts)[1]["common"] == 116
    assert found(counts)[1]["new"] == 1


async def test_what_is_forgotten_is_not_kept_in_memory(place):
    store, reader = CountedReads(await place.open()), ChoiceReader()
    name = KEY.user("ann")
    await put(store, name, event("a"))
    await reader.counted(store, 0.0, 0.0)
    assert name in reader._kept
    reader.forget(name)
    assert name not in reader._kept
    await store.delete((name,))
    assert (await both(reader, store, 0.0))[0] == 0


@pytest.mark.parametrize(("name", "least"), [("i{n}", 5), ("i{number}-{n}", 1)], ids=["same items", "own items"])
async def test_what_is_kept_in_memory_is_bounded(place, name, least):
    store, reader = await place.open(), ChoiceReader(most_bytes=15_000)
    for turn in range(4):
        # Records that grow take the room of others.
        for number in range(0, 60, 1 if turn == 0 else 2):
            items = [name.format(number=number, n=n) for n in range(9 * (turn + 1))]
            await put(store, KEY.user(f"u{number}"), *map(event, items))
        await both(reader, store, 0.0)
        assert least <= len(reader._kept) < 60
        assert reader._next_bytes + reader._id_bytes <= 15_000
