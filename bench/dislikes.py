"""Strength by which items sink that are like what a user dislikes: `python -m bench.dislikes --release DIR --data DIR`.

Of each user with dislikes and likes, the later half of both is to come. Items are ordered by the centred mean of the
earlier likes, less the strength for what is like an earlier dislike. Printed by strength: where the disliked items to
come stand (mean share of the catalogue above them; larger is better) and NDCG@100 of the liked ones.
"""

import argparse
import csv
import gzip
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from core.metrics import binary_ndcg
from core.ranking.dislikes import dislike_share, sunk
from core.vectors import history_query
from domain.release_folder import find_release
from server.catalogue.item_table import ItemTable

_LIKED, _DISLIKED = 4.0, 2.0
_LEAST = 4
_DEPTH = 100


def main() -> int:
    """Prints one line a strength."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", required=True, help="release of the films, or a folder of releases")
    parser.add_argument("--data", type=Path, required=True, help="folder of movielens-small")
    args = parser.parse_args()
    release = find_release(Path(args.release), None)
    items = ItemTable(release.path / "items.jsonl", release.manifest.attribute_types)
    vectors = np.load(release.path / "vectors.npy")
    mean = np.load(release.path / "mean.npy")
    users = list(_users(args.data / "interactions.csv.gz", items))
    sys.stdout.write(f"{len(users)} users\nstrength  place of dislikes  NDCG@100 of likes\n")
    for strength in (0.0, 0.5, 1.0, 2.0, 3.0, 5.0):
        places, gains = [], []
        for liked, disliked, later_liked, later_disliked in users:
            query = history_query(vectors[liked], mean)
            if query is None:
                continue
            scores = sunk(vectors @ query, dislike_share(vectors, vectors[disliked], mean), strength)
            scores[np.concatenate([liked, disliked])] = -np.inf
            order = np.argsort(-scores, kind="stable")
            rank = np.empty(len(order), np.int64)
            rank[order] = np.arange(len(order))
            places.append(float(rank[later_disliked].mean()) / len(order))
            gains.append(binary_ndcg(np.isin(order[:_DEPTH], later_liked), len(later_liked), _DEPTH))
        sys.stdout.write(f"{strength:8.1f}  {np.mean(places):17.4f}  {np.mean(gains):17.4f}\n")
    return 0


def _users(path: Path, items: ItemTable) -> list[tuple[np.ndarray, ...]]:
    """Returns rows of earlier likes, earlier dislikes, later likes and later dislikes of each user that has enough."""
    events: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            row = items.row_of(line["item_id"])
            if row is not None:
                events[line["user_id"]].append((float(line["timestamp"]), float(line["rating"]), row))
    found: list[tuple[np.ndarray, ...]] = []
    for history in events.values():
        history.sort()
        liked = np.asarray([row for _, rating, row in history if rating >= _LIKED], np.int64)
        disliked = np.asarray([row for _, rating, row in history if rating <= _DISLIKED], np.int64)
        if min(len(liked), len(disliked)) >= _LEAST:
            half, dis_half = len(liked) // 2, len(disliked) // 2
            found.append((liked[:half], disliked[:dis_half], liked[half:], disliked[dis_half:]))
    return found


if __name__ == "__main__":
    sys.exit(main())
