"""Measurements of the main job: build, start, exactness of the results, the gateway's own time.

    python -m bench.main_job [--items FILE] [--releases DIR]

Prints one line a measurement with its goal, and ends with 1 if a goal was missed, with 2 if there is nothing to
measure.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.service import ROOT, build_release, serving
from core.vectors import exact_search
from domain.release_folder import VECTORS, find_release
from server.catalogue.item_table import ItemTable
from shortlist import Client

_TIMED_CALLS = 400


@dataclass(frozen=True)
class Measurement:
    """A measured value and its goal."""

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def reached(self) -> bool:
        """True if the goal was reached."""
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def line(self) -> str:
        """Returns the measurement as one line."""
        goal = f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}" if self.least is not None else ""
        return f"{self.name:44} {self.value:10.4g} {self.unit:6} {goal:10} {'' if self.reached else 'MISSED'}"


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=Path, default=ROOT.parent / "shared/data/movielens-small/items.jsonl")
    parser.add_argument("--releases", type=Path, help="take the current release of this folder instead of building")
    args = parser.parse_args()
    if args.releases is None and not args.items.is_file():
        parser.error(
            f"no item file {args.items}; give --items FILE, or --releases DIR of a release that is built already"
        )
    measurements: list[Measurement] = []
    with tempfile.TemporaryDirectory() as scratch:
        releases = args.releases or Path(scratch) / "releases"
        if args.releases is None:
            measurements += _build(args.items, releases)
        release = find_release(releases, None)
        measurements.append(
            Measurement("HNSW recall@10, 500 item vectors", release.manifest.graph.recall_at_10, "", least=0.99)
        )
        measurements += _serve(releases, Path(scratch))
    sys.stdout.write("\n".join(measurement.line() for measurement in measurements) + "\n")
    return 0 if all(measurement.reached for measurement in measurements) else 1


def _build(items: Path, releases: Path) -> list[Measurement]:
    started = time.monotonic()
    build_release(items, releases)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return [
        Measurement("release build", seconds, "s", most=360),
        Measurement("peak memory", peak / 1e9, "GB", most=2.0),
    ]


def _serve(releases: Path, scratch: Path) -> list[Measurement]:
    started = time.monotonic()
    with serving(releases, scratch) as address:
        seconds = time.monotonic() - started
        with Client(address, deadline_s=10) as client:
            return [
                Measurement("shortlist up to SERVING", seconds, "s", most=15),
                *_exactness(client, releases),
                *_own_share(client),
            ]


def _exactness(client: Client, releases: Path) -> list[Measurement]:
    """Compares results with an exact search over the release's vectors; the queries' vectors come from Embed."""
    release = find_release(releases, None)
    vectors = np.load(release.path / VECTORS)
    items = ItemTable(release.path / "items.jsonl", release.manifest.attribute_types)
    queries = (ROOT / "bench" / "queries.txt").read_text().splitlines()
    embedded = client.embed(queries).embeddings
    shares = []
    for text, embedding in zip(queries, embedded, strict=True):
        rows, _ = exact_search(vectors, np.array(embedding.vector, dtype=np.float32), 10, items.unavailable)
        exact = {items.ids[row] for row in rows}
        shares.append(len(exact & {item.id for item in client.recommend(text, k=10).items}) / len(exact))
    return [
        Measurement(f"recall@10 of {len(queries)} queries against exact search", float(np.mean(shares)), "", least=1.0)
    ]


def _own_share(client: Client) -> list[Measurement]:
    """Measures calls one after the other: total without the Triton call, and the whole as the caller sees it."""
    queries = (ROOT / "bench" / "queries.txt").read_text().splitlines()
    own, triton, seen = [], [], []
    for number in range(_TIMED_CALLS):
        started = time.perf_counter()
        times = client.recommend(f"{queries[number % len(queries)]} {number}").stage_times
        seen.append((time.perf_counter() - started) * 1e3)
        own.append(times.total_ms - times.triton_ms)
        triton.append(times.triton_ms)
    return [
        Measurement("gateway's own time, p50", statistics.median(own), "ms", most=3.0),
        Measurement("gateway's own time, p99", float(np.quantile(own, 0.99)), "ms"),
        Measurement("Triton call, p50", statistics.median(triton), "ms"),
        Measurement("whole call seen by the client, p50", statistics.median(seen), "ms"),
    ]


if __name__ == "__main__":
    sys.exit(main())
