"""Cost of changes of a live catalogue: `python -m bench.live_writes --releases DIR`.

Serves a release with the real gateway and prints one line a figure with its goal; ends with 1 if a goal was missed:

- seconds from the start of `UpsertItems` to its acknowledgement, over those of `Embed` of the same text, in turns. Each
  acknowledged item is asked for at once, by the next query;
- p99 of reads beside writes while a merge runs, over p99 beside as many texts that are embedded only. Reads come at
  random times that were drawn beforehand (open loop), and each is timed from when it was due. Rounds alternate.

Before a round with writes so many items are added that a merge is due; the round counts only while the merge's
process runs, and so does the round beside it, for as long.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import psutil

from bench.main_job import Measurement
from bench.service import ROOT, Running, serving_command, started
from domain.release_folder import ITEMS, find_release
from server.catalogue.merge import MergeLimits
from shortlist import Client, NewItem, ShortlistCallError, TextInterpretation

OFF = TextInterpretation.OFF
_VISIBLE_LIMIT_MS = 20.0
_READS_LIMIT = 1.1
_WRITE_SHARE = 0.2
_CALLERS = 24
_AT_ONCE = 256
_MERGE_WITHIN_S = 300.0
_TEXT_CHARACTERS = 200
_QUERY_WORDS = 4
_MERGER = "delta_graph"


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", type=Path, required=True, help="folder whose current release is served")
    parser.add_argument("--items", type=int, default=200, help="items that are added one by one (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds with writes and as many without (%(default)s)")
    parser.add_argument("--rate", type=float, default=25.0, help="reads a second (%(default)s)")
    args = parser.parse_args()
    texts = Texts.of(find_release(args.releases, None).path / ITEMS)
    with tempfile.TemporaryDirectory() as scratch:
        command = serving_command(args.releases, Path(scratch), ("--embedding-cache-mb", "0"))
        with started(command, ROOT) as running, Client(running.address, deadline_s=30.0, retry=None) as client:
            found = visible(client, texts, args.items)
            found += beside_writes(running, client, texts, args.rounds, args.rate)
    sys.stdout.write("\n".join(one.line() for one in found) + "\n")
    return 0 if all(one.reached for one in found) else 1


@dataclass(frozen=True)
class Texts:
    """Titles and texts of a release, to make others of: words are as common as in the catalogue.

    Attributes:
        titles: of its items.
        texts: of its items, or their titles where they have none.
    """

    titles: list[str]
    texts: list[str]

    @classmethod
    def of(cls, path: Path) -> "Texts":
        """Reads `items.jsonl` of a release."""
        items = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        titles = [item["title"] for item in items if item.get("title")]
        return cls(titles, [item.get("text") or item["title"] for item in items if item.get("title")])

    def items(self, name: str, seed: int) -> Iterator[NewItem]:
        """Yields items without an end: the halves of two titles, and the text of a third item."""
        rng = random.Random(seed)
        for number in count():
            halves = [rng.choice(self.titles).split() for _ in range(2)]
            first, second = (words[: len(words) // 2 + 1] for words in halves)
            text = f"{rng.choice(self.texts)[:_TEXT_CHARACTERS]} {number}"
            yield NewItem(f"{name}-{number}", " ".join([*first, *second, f"{name}{number}"]), text)

    def query(self, rng: random.Random) -> str:
        """Returns some words of a text."""
        words = rng.choice(self.texts).split()
        start = rng.randrange(max(1, len(words) - _QUERY_WORDS))
        return " ".join(words[start : start + _QUERY_WORDS])


def visible(client: Client, texts: Texts, item_count: int) -> list[Measurement]:
    """Adds items one by one, asks for each, and embeds the text of another in turns."""
    items = texts.items("one", 7)
    upserts, embeds, missing = [], [], 0
    for turn in range(item_count + 5):
        item, other = next(items), next(items)
        since_s = time.perf_counter()
        client.embed([_text(other)])
        embedded_s = time.perf_counter()
        (outcome,) = client.upsert_items([item])
        acknowledged_s = time.perf_counter()
        assert outcome.error is None, outcome
        # A title made of two may name a wish, such as a genre, which the item does not meet.
        missing += item.id not in {one.id for one in client.recommend(item.title, k=10, interpretation=OFF).items}
        if turn >= 5:  # the first ones warm up
            embeds.append(embedded_s - since_s)
            upserts.append(acknowledged_s - embedded_s)
    p99, bare = (float(np.quantile(times, 0.99)) * 1e3 for times in (upserts, embeds))
    return [
        Measurement("added items that the next query misses", missing, "items", most=0),
        Measurement("p50 of UpsertItems", float(np.median(upserts)) * 1e3, "ms"),
        Measurement("p99 of UpsertItems", p99, "ms"),
        Measurement("p99 of Embed of such a text", bare, "ms"),
        Measurement("p99 of UpsertItems less that of Embed", p99 - bare, "ms", most=_VISIBLE_LIMIT_MS),
    ]


def beside_writes(running: Running, client: Client, texts: Texts, rounds: int, rate: float) -> list[Measurement]:
    """Reads beside writes with a merge, and beside texts that are embedded only."""
    items, turn = texts.items("many", 11), threading.Lock()

    def following() -> NewItem:
        with turn:
            return next(items)

    writing: list[float] = []
    embedding: list[float] = []
    merges_s: list[float] = []
    failed = 0
    for number in range(rounds):
        load = _Load(running.address, texts, rate, lambda: client.upsert_items([following()]), seed=number)
        with ThreadPoolExecutor(1) as watch:
            # Batches of many texts are no part of the round. The last one makes a merge due, which begins in seconds.
            merge = watch.submit(_merge, running.pid)
            _fill(client, following, MergeLimits.compared + 1)
            with load:
                since_s, until_s = merge.result()
        times, errors = load.between(since_s, until_s)
        writing, failed = writing + times, failed + errors
        merges_s.append(until_s - since_s)
        load = _Load(running.address, texts, rate, lambda: client.embed([_text(following())]), seed=number)
        with load:
            since_s = time.perf_counter()
            time.sleep(merges_s[-1])
        times, errors = load.between(since_s, time.perf_counter())
        embedding, failed = embedding + times, failed + errors
    p99, alone = (float(np.quantile(times, 0.99)) * 1e3 for times in (writing, embedding))
    return [
        Measurement("reads during merges", len(writing), "calls"),
        Measurement("failed calls", failed, "calls", most=0),
        Measurement("seconds of a merge", float(np.median(merges_s)), "s"),
        Measurement("p50 of reads beside writes and a merge", float(np.median(writing)) * 1e3, "ms"),
        Measurement("p50 of reads beside embedding", float(np.median(embedding)) * 1e3, "ms"),
        Measurement("p99 of reads beside writes and a merge", p99, "ms"),
        Measurement("p99 of reads beside embedding", alone, "ms"),
        Measurement("p99 beside writes and a merge / embedding", p99 / alone, "x", most=_READS_LIMIT),
    ]


class _Load:
    """Reads at drawn times, and other calls at a share of their rate, from the beginning of the body to its end."""

    def __init__(self, address: str, texts: Texts, rate: float, other: Callable[[], object], seed: int) -> None:
        self._texts, self._rate, self._other, self._rng = texts, rate, other, random.Random(seed)
        self._client = Client(address, deadline_s=20.0, retry=None)
        self._pool = ThreadPoolExecutor(_CALLERS)
        self._done = threading.Event()
        self._times: list[tuple[float, float]] = []
        self._errors: list[float] = []
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> "_Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._pool.shutdown()
        self._client.close()

    def between(self, since_s: float, until_s: float) -> tuple[list[float], int]:
        """Returns the seconds of the reads that were due between two moments, and how many calls failed."""
        times = [took_s for due_s, took_s in self._times if since_s <= due_s < until_s]
        return times, sum(since_s <= at_s < until_s for at_s in self._errors)

    def _send(self) -> None:
        due_s = time.perf_counter()
        while not self._done.is_set():
            due_s += self._rng.expovariate(self._rate * (1 + _WRITE_SHARE))
            time.sleep(max(0.0, due_s - time.perf_counter()))
            is_read = self._rng.random() < 1 / (1 + _WRITE_SHARE)
            text = self._texts.query(self._rng)
            self._pool.submit(self._read, due_s, text) if is_read else self._pool.submit(self._write, due_s)

    def _read(self, due_s: float, text: str) -> None:
        try:
            self._client.recommend(text, k=10)
            self._times.append((due_s, time.perf_counter() - due_s))
        except ShortlistCallError:
            self._errors.append(due_s)

    def _write(self, due_s: float) -> None:
        try:
            self._other()
        except ShortlistCallError:
            self._errors.append(due_s)


def _fill(client: Client, following: Callable[[], NewItem], item_count: int) -> None:
    """Adds so many items."""
    for start in range(0, item_count, _AT_ONCE):
        batch = [following() for _ in range(min(_AT_ONCE, item_count - start))]
        assert all(one.error is None for one in client.upsert_items(batch, deadline_s=120.0))


def _merge(pid: int) -> tuple[float, float]:
    """Waits for a merge's process, and for its end; returns both moments.

    Raises:
        RuntimeError: none came.
    """
    begun_s, waited_s = 0.0, time.perf_counter()
    while time.perf_counter() - waited_s < _MERGE_WITHIN_S:
        runs = any(_MERGER in " ".join(_command(child)) for child in psutil.Process(pid).children())
        if runs and not begun_s:
            begun_s = time.perf_counter()
        if begun_s and not runs:
            return begun_s, time.perf_counter()
        time.sleep(0.02)
    raise RuntimeError(f"no merge came to its end within {_MERGE_WITHIN_S:.0f} s")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _text(item: NewItem) -> str:
    return f"{item.title}. {item.text}"


if __name__ == "__main__":
    sys.exit(main())
