"""Made interactions and items of any size, clustered by taste, to measure how training grows.

    python -m bench.synthetic --users 100000 --items 20000 --events 5000000 --out DIR

How they are made, from a fixed seed:

- Items fall into `items / 100` clusters of Zipf-like sizes; inside a cluster popularity falls as 1 / rank^0.8.
- A user has one to four clusters with Dirichlet weights, and a number of events drawn from a log-normal distribution
  (spread 0.8) with the mean that is asked for, at least 3, each item once.
- Events come in sessions: the next one stays in the cluster with probability 0.7; one in ten is any popular item. They
  are an hour apart on average.
- A title has two words of its cluster's 20, one word that several clusters share and a number; the text six words more.
  So texts tell clusters apart, not the items inside one.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_SYLLABLES = ("ka", "lo", "mi", "ra", "ten", "su", "vel", "or", "pin", "da", "gru", "fe", "shi", "nor", "ba", "qui")


@dataclass(frozen=True)
class Shape:
    """Size of a made set."""

    users: int
    items: int
    events: int

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.users}x{self.items}x{self.events}"


def write(shape: Shape, out: Path, seed: int = 7) -> None:
    """Writes `items.jsonl` and `interactions.csv.gz` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    clusters = max(4, shape.items // 100)
    sizes = 1 / np.arange(1, clusters + 1) ** 0.5
    cluster_of = np.sort(rng.choice(clusters, shape.items, p=sizes / sizes.sum()))
    members = [np.flatnonzero(cluster_of == cluster) for cluster in range(clusters)]
    members = [rows for rows in members if len(rows)]
    with (out / "items.jsonl").open("w", encoding="utf-8") as stream:
        for record in _items(cluster_of, clusters, rng):
            stream.write(json.dumps(record) + "\n")
    with gzip.open(out / "interactions.csv.gz", "wt", compresslevel=1, encoding="utf-8") as stream:
        stream.write("user_id,item_id,timestamp\n")
        for line in _events(shape, members, rng):
            stream.write(line)


def _items(cluster_of: np.ndarray, clusters: int, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    words = [["".join(rng.choice(_SYLLABLES, 3)) for _ in range(20)] for _ in range(clusters)]
    shared = ["".join(rng.choice(_SYLLABLES, 2)) for _ in range(200)]
    for row, cluster in enumerate(cluster_of.tolist()):
        own = rng.choice(words[cluster], 6, replace=False).tolist()
        title = f"{own[0]} {own[1]} {shared[int(rng.integers(len(shared)))]} {row % 97}"
        yield {"id": f"i{row}", "title": title, "text": " ".join([*own[2:], *rng.choice(shared, 2)])}


def _events(shape: Shape, members: list[np.ndarray], rng: np.random.Generator) -> Iterator[str]:
    by_rank = [np.cumsum(weights / weights.sum()) for weights in (1 / np.arange(1, len(m) + 1) ** 0.8 for m in members)]
    sizes = np.array([len(rows) for rows in members], float) ** 0.7
    popular = np.concatenate([rows[: max(1, len(rows) // 20)] for rows in members])
    mean = shape.events / shape.users
    lengths = rng.lognormal(np.log(max(mean, 3.0)) - 0.32, 0.8, shape.users)
    lengths = np.clip(np.round(lengths * mean / lengths.mean()), 3, shape.items // 4).astype(int)
    for user, length in enumerate(lengths.tolist()):
        tastes = rng.choice(len(members), int(rng.integers(1, 5)), replace=False, p=sizes / sizes.sum())
        weights = np.cumsum(rng.dirichlet(np.ones(len(tastes))))
        moment = 1_700_000_000 + int(rng.integers(0, 30_000_000))
        chosen: set[int] = set()
        taste = 0
        draws = rng.random((3 * length, 4))
        for stay, which, what, other in draws.tolist():
            if len(chosen) == length:
                break
            if stay > 0.7:
                taste = min(int(np.searchsorted(weights, which)), len(tastes) - 1)
            own = members[int(tastes[taste])]
            row = int(own[min(int(np.searchsorted(by_rank[int(tastes[taste])], what)), len(own) - 1)])
            if other < 0.1:
                row = int(popular[int(what * len(popular))])
            if row not in chosen:
                chosen.add(row)
                moment += int(7200 * which) + 1
                yield f"u{user},i{row},{moment}\n"


def main() -> int:
    """Writes one set; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("users", "items", "events"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    write(Shape(args.users, args.items, args.events), args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
