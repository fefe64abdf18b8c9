"""Times of a text's Recommend beside a Rank of a thousand texts, and of the Rank itself.

python -m bench.rank_neighbours --releases FOLDER [--characters 4000] [--count 1000]
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from bench.service import ROOT, serving
from shortlist import Client, Event, EventKind

_WORDS = [
    word
    for line in (ROOT / "sample" / "items.jsonl").read_text(encoding="utf-8").splitlines()
    for word in json.loads(line).get("text", "").split()
]


def _texts(count: int, characters: int) -> list[str]:
    draw = np.random.default_rng(0)
    return [" ".join(draw.choice(_WORDS, characters // 3))[:characters].strip() for _ in range(count)]


class _Neighbour:
    """A caller who asks for one thing after another; keeps how long each answer took, in seconds."""

    def __init__(self, address: str, *, text: str | None) -> None:
        self.took: list[float] = []
        self._address = address
        self._text = text
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Neighbour":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        history = () if self._text else (Event("goods-phone-a", EventKind.BUY), Event("goods-phone-b", EventKind.VIEW))
        with Client(self._address, deadline_s=10.0) as client:
            number = 0
            while not self._ended.is_set():
                number += 1
                text = f"{self._text} {number}" if self._text else None
                started = time.monotonic()
                client.recommend(text, events=history)
                self.took.append(time.monotonic() - started)
                time.sleep(0.005)


def _line(name: str, took: list[float]) -> str:
    times = np.asarray(took) * 1e3
    high = np.quantile(times, 0.99)
    return (
        f"{name:<28} {len(times):5} calls  median {np.median(times):7.1f}  p99 {high:7.1f}  max {times.max():7.1f} ms"
    )


def main() -> None:
    """Prints the times without and with the Rank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=Path, required=True)
    parser.add_argument("--characters", type=int, default=4_000)
    parser.add_argument("--count", type=int, default=1_000)
    args = parser.parse_args()
    texts = _texts(args.count, args.characters)
    with tempfile.TemporaryDirectory() as scratch, serving(args.releases, Path(scratch)) as address:
        for kind, text in (("history alone", None), ("text", "a quiet film")):
            with _Neighbour(address, text=text) as alone:
                time.sleep(5)
            sys.stdout.write(_line(f"{kind}, nobody beside", alone.took) + "\n")
            with _Neighbour(address, text=text) as beside, Client(address, deadline_s=90.0) as client:
                started = time.monotonic()
                ranking = client.rank("good quality at a fair price", texts)
                took_s = time.monotonic() - started
            sys.stdout.write(_line(f"{kind}, beside a Rank", beside.took) + "\n")
            notes = ", ".join(one.reason for one in ranking.degradations)
            sys.stdout.write(f"  the Rank took {took_s:.1f} s {notes}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
