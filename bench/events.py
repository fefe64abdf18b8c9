"""Figures of stored events: `python -m bench.events --releases DIR`.

Prints one line a figure with its goal, and ends with 1 if a goal was missed:

- events a second through the client's stream into SQLite with `synchronous=FULL`, users drawn by Zipf's law;
- users' states read a second from the store, and how long one read takes;
- what a user with 50 stored events costs over the same call that passes the events along, and over its Triton calls.

Rates depend on who else uses the machine: rounds are interleaved, and the median and the best round are printed.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.main_job import Measurement
from bench.service import serving
from domain.release_folder import find_release
from server.catalogue.item_table import ItemTable
from server.users.pseudonyms import Pseudonyms
from server.users.record import NewEvent, Retention
from server.users.sqlite_store import SqliteStore
from server.users.store import Append
from shortlist import Client, Event, EventKind
from shortlist.v1 import event_pb2

_ROUNDS = 5
_EVENTS = 10_000
_USERS = 2_000
_READS = 4_000
_CALLS = 200
_KEPT = 50


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--releases", type=Path, required=True, help="folder of releases, for example of `shortlist demo`"
    )
    parser.add_argument("--users", type=int, default=_USERS, help="users in the store that is read (%(default)s)")
    args = parser.parse_args()
    release = find_release(args.releases, None)
    ids = ItemTable(release.path / "items.jsonl", release.manifest.attribute_types).ids
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "store"
        found = asyncio.run(_store_figures(folder, ids, args.users))
        size = sum(path.stat().st_size for path in folder.iterdir()) / args.users
        found.append(Measurement(f"on disk, a user of {_KEPT} events", size, "bytes"))
        with serving(release.path, Path(scratch)) as address, Client(address, deadline_s=60.0) as client:
            found += _stream_figures(client, ids)
            found += _added_time(client, ids)
    for one in found:
        sys.stdout.write(one.line() + "\n")
    return 0 if all(one.reached for one in found) else 1


def zipf_users(count: int, users: int, seed: int = 0) -> list[str]:
    """Returns `count` user ids, the n-th user with a share of about 1 / n."""
    weights = 1.0 / np.arange(1, users + 1)
    drawn = np.random.default_rng(seed).choice(users, count, p=weights / weights.sum())
    return [f"user-{number}" for number in drawn.tolist()]


def _stream_figures(client: Client, ids: Sequence[str]) -> list[Measurement]:
    rates = []
    for number in range(_ROUNDS):
        users = zipf_users(_EVENTS, _USERS, number)
        events = [
            (user, Event(ids[place % len(ids)], EventKind.VIEW, event_id=f"{number}-{place}"))
            for place, user in enumerate(users)
        ]
        started_s = time.perf_counter()
        done = client.record_events_stream(events)
        rates.append(_EVENTS / (time.perf_counter() - started_s))
        assert done.recorded_count == _EVENTS
        assert done.durable
    return [
        Measurement("client stream, users by Zipf's law, median", statistics.median(rates), "ev/s", least=5_000),
        Measurement("client stream, users by Zipf's law, best round", max(rates), "ev/s"),
        Measurement("client stream, a message an event, median", _single_rate(client, ids), "ev/s"),
    ]


def _single_rate(client: Client, ids: Sequence[str]) -> float:
    """Returns the rate where every event is another user's: a message for each."""
    rates = []
    for number in range(_ROUNDS):
        events = [
            (f"single-{number}-{place}", Event(ids[place % len(ids)], EventKind.VIEW)) for place in range(_EVENTS // 4)
        ]
        started_s = time.perf_counter()
        client.record_events_stream(events)
        rates.append(len(events) / (time.perf_counter() - started_s))
    return statistics.median(rates)


async def _store_figures(folder: Path, ids: Sequence[str], users: int) -> list[Measurement]:
    key = Pseudonyms(b"k" * 32)
    store = SqliteStore(folder / "users.sqlite", key)
    await store.open()
    names = [key.user(f"user-{number}") for number in range(users)]
    events = [_stored(ids[place % len(ids)]) for place in range(_KEPT)]
    for start in range(0, users, 256):
        await asyncio.gather(*(store.append(Append(name, events, Retention())) for name in names[start : start + 256]))
    drawn = [key.user(name) for name in zipf_users(_READS, users)]
    rates = []
    for _ in range(_ROUNDS):
        started_s = time.perf_counter()
        for start in range(0, _READS, 64):
            await asyncio.gather(*(store.read((name,)) for name in drawn[start : start + 64]))
        rates.append(_READS / (time.perf_counter() - started_s))
    await store.aclose()
    return [
        Measurement("users' states read, 64 at once, median", statistics.median(rates), "/s", least=2_000),
    ]


def _stored(item_id: str) -> NewEvent:
    event = event_pb2.Event(item_id=item_id, kind=event_pb2.EVENT_KIND_VIEW)
    event.time.GetCurrentTime()
    return NewEvent(event.SerializeToString(), b"", b"", time.time())


def _added_time(client: Client, ids: Sequence[str]) -> list[Measurement]:
    """Compares, call by call, a user with stored events with a caller who passes the same events along."""
    events = [Event(item_id, EventKind.LIKE) for item_id in ids[:_KEPT]]
    client.record_events(events, user_id="reader")
    stored: list[float] = []
    passed: list[float] = []
    over_triton: list[float] = []
    for _ in range(_CALLS):
        for times, fields in ((stored, {"user_id": "reader"}), (passed, {"events": events})):
            started_s = time.perf_counter()
            reply = client.recommend(**fields)
            times.append((time.perf_counter() - started_s) * 1e3)
            if times is stored:
                spent = reply.stage_times
                over_triton.append(spent.total_ms - spent.triton_ms - spent.rank_triton_ms)
    added = [one - other for one, other in zip(stored, passed, strict=True)]
    return [
        Measurement("50 stored events, over its Triton calls, p50", statistics.median(over_triton), "ms", most=4),
        Measurement(
            "50 stored events, over its Triton calls, p99", float(np.quantile(over_triton, 0.99)), "ms", most=12
        ),
        Measurement("stored less passed along, per call, p50", statistics.median(added), "ms"),
    ]


def _p99(times: Sequence[float]) -> float:
    return float(np.quantile(times, 0.99))


if __name__ == "__main__":
    sys.exit(main())
