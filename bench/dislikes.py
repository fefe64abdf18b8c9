"""Strength by which items sink that are like what a user dislikes: `python -m bench.dislikes --release DIR --data DIR`.

Items are ordered as a gateway orders them for a release without trained parts: the nearest to the centred mean of the
likes, less what is like a dislike. Printed by ramp of cosines and strength:

- of film series of three parts, first liked and second disliked: how often the third leads, and its median place;
- of users with dislikes and likes, the later half of both being to come: NDCG@100 of the likes over that without
  dislikes, with an interval of 95 % of a bootstrap over users, and the mean share of the catalogue above the dislikes.
"""

import argparse
import csv
import gzip
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.metrics import binary_ndcg
from core.ranking.dislikes import dislike_share, sunk
from core.retrieval.source import DEFAULT_LIST_LENGTH
from core.vectors import history_query
from domain.release_folder import find_release
from server.catalogue.item_table import ItemTable

_LIKED, _DISLIKED = 4.0, 2.0
_LEAST = 4
_DEPTH = 100
_RAMPS = ((0.25, 0.7), (0.2, 0.7), (0.2, 0.6), (0.15, 0.6), (0.3, 0.7))
_STRENGTHS = (2.0, 3.0, 5.0, 7.0, 10.0)
_PART = re.compile(r"^(.*?)(?:,? (?:Part |Chapter |Episode |Vol\. )?(\d|I{1,3}|IV))?(?:\s*[:(-].*)?$")
_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4}
_SAMPLES = 2_000


@dataclass(frozen=True)
class Films:
    """Films of a release.

    Attributes:
        items: by row.
        vectors: float32[n, d].
        mean: float32[d].
    """

    items: ItemTable
    vectors: np.ndarray
    mean: np.ndarray

    def order(self, liked: np.ndarray, disliked: np.ndarray, ramp: tuple[float, float], strength: float) -> np.ndarray:
        """Returns int64[n - seen], all rows but those of the history, best first."""
        query = history_query(self.vectors[liked], self.mean)
        assert query is not None
        scores = self.vectors @ query
        scores[np.concatenate([liked, disliked])] = -np.inf
        rows = np.argsort(-scores, kind="stable")[: len(scores) - len(liked) - len(disliked)]
        if not strength:
            return rows
        # A gateway's list is one pass of candidates; those that no longer fit follow.
        first, rest = rows[:DEFAULT_LIST_LENGTH], rows[DEFAULT_LIST_LENGTH:]
        shares = dislike_share(self.vectors[first], self.vectors[disliked], self.mean, ramp)
        lowered = sunk(scores[first], shares, strength)
        return np.concatenate([first[np.argsort(-lowered, kind="stable")], rest])


def main() -> int:
    """Prints one line for each ramp and strength."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", required=True, help="release of the films, or a folder of releases")
    parser.add_argument("--data", type=Path, required=True, help="folder of movielens-small")
    args = parser.parse_args()
    release = find_release(Path(args.release), None)
    items = ItemTable(release.path / "items.jsonl", release.manifest.attribute_types)
    films = Films(items, np.load(release.path / "vectors.npy"), np.load(release.path / "mean.npy"))
    users, series = list(_users(args.data / "interactions.csv.gz", items)), list(_series(items))
    sys.stdout.write(f"{len(series)} series, {len(users)} users\n")
    sys.stdout.write("   ramp      strength  third leads  its place  NDCG@100 over none    above dislikes\n")
    before, _ = _of_users(films, users, (0.0, 1.0), 0.0)
    for ramp, strength in [((0.0, 1.0), 0.0), *((ramp, strength) for ramp in _RAMPS for strength in _STRENGTHS)]:
        places = [_place(films, parts, ramp, strength) for parts in series]
        gains, above = _of_users(films, users, ramp, strength)
        ratio, low, high = _ratio(gains, before)
        sys.stdout.write(
            f"{ramp[0]:.2f} to {ramp[1]:.2f} {strength:8.1f} {sum(place == 0 for place in places):12d} "
            f"{np.median(places) + 1:10.0f}  {ratio:.3f} [{low:.3f}, {high:.3f}] {above:12.4f}\n"
        )
    return 0


def _place(films: Films, parts: tuple[int, int, int], ramp: tuple[float, float], strength: float) -> int:
    first, second, third = parts
    order = films.order(np.asarray([first]), np.asarray([second]), ramp, strength)
    return int(np.flatnonzero(order == third)[0])


def _of_users(
    films: Films, users: list[tuple[np.ndarray, ...]], ramp: tuple[float, float], strength: float
) -> tuple[np.ndarray, float]:
    """Returns NDCG@100 of each user's likes to come, and where the dislikes to come stand."""
    places, gains = [], []
    for liked, disliked, later_liked, later_disliked in users:
        order = films.order(liked, disliked, ramp, strength)
        places.append(float(np.flatnonzero(np.isin(order, later_disliked)).mean()) / len(order))
        gains.append(binary_ndcg(np.isin(order[:_DEPTH], later_liked), len(later_liked), _DEPTH))
    return np.asarray(gains), float(np.mean(places))


def _ratio(gains: np.ndarray, before: np.ndarray) -> tuple[float, float, float]:
    draws = np.random.default_rng(42).integers(0, len(gains), (_SAMPLES, len(gains)))
    ratios = gains[draws].sum(axis=1) / before[draws].sum(axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(gains.sum() / before.sum()), float(low), float(high)


def _series(items: ItemTable) -> Iterator[tuple[int, int, int]]:
    """Yields the rows of the first, second and third part of each series that numbers them."""
    parts: dict[str, dict[int, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    for row in range(len(items)):
        item = items.item(row)
        match = _PART.match(item.title)
        year = item.attributes.get("year")
        if match is None or not isinstance(year, int | float):
            continue
        name, number = match.groups()
        part = 1 if number is None else _ROMAN.get(number) or int(number)
        parts[name.strip().casefold()][part].append((year, row))
    for found in parts.values():
        if {1, 2, 3} <= found.keys():
            first, second, third = (min(found[part]) for part in (1, 2, 3))
            if first[0] < second[0] < third[0]:
                yield first[1], second[1], third[1]


def _users(path: Path, items: ItemTable) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields rows of earlier likes, earlier dislikes, later likes and later dislikes of each user that has enough."""
    events: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            row = items.row_of(line["item_id"])
            if row is not None:
                events[line["user_id"]].append((float(line["timestamp"]), float(line["rating"]), row))
    for history in events.values():
        history.sort()
        liked = np.asarray([row for _, rating, row in history if rating >= _LIKED], np.int64)
        disliked = np.asarray([row for _, rating, row in history if rating <= _DISLIKED], np.int64)
        if min(len(liked), len(disliked)) >= _LEAST:
            half, dis_half = len(liked) // 2, len(disliked) // 2
            yield liked[:half], disliked[:dis_half], liked[half:], disliked[dis_half:]


if __name__ == "__main__":
    sys.exit(main())
