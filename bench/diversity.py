"""Price of diversity: `python -m bench.diversity --release DIR --data DIR`.

Each user's last positive item is to be found again from those before it, by item-to-item cosines of choices. Printed by
strength: NDCG@10, and the mean distance (1 - cosine of centred vectors) within the first ten.
"""

import argparse
import csv
import gzip
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from core.ranking.placement import PlacementRules, RankedPool, place_items
from core.vectors import top_rows, unit
from domain.arrangement import Arrangement
from domain.release_folder import find_release
from server.catalogue.item_table import ItemTable

_POSITIVE = 4.0
_STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_POOL, _LIST = 300, 10


def main() -> int:
    """Prints one line for each strength."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", required=True, help="release of the films, or a folder of releases")
    parser.add_argument("--data", type=Path, required=True, help="folder of movielens-small")
    args = parser.parse_args()
    release = find_release(Path(args.release), None)
    items = ItemTable(release.path / "items.jsonl", release.manifest.attribute_types)
    vectors = unit(np.load(release.path / "vectors.npy") - np.load(release.path / "mean.npy"))
    histories = _histories(args.data / "interactions.csv.gz", items)
    sys.stdout.write(f"{len(histories)} users\nstrength  ndcg@10  distance\n")
    pools = [(target, _pool(scores, vectors)) for target, scores in _scored(histories, len(items))]
    for strength in _STRENGTHS:
        gains, distances = [], []
        for target, pool in pools:
            rules = PlacementRules(Arrangement(diversity=strength), lambda *_: (), vectors.__getitem__)
            rows = [one.row for one in place_items(pool, rules, _LIST)]
            gains.append(1 / np.log2(2 + rows.index(target)) if target in rows else 0.0)
            cosines = vectors[rows] @ vectors[rows].T
            distances.append(1 - cosines[np.triu_indices(len(rows), 1)].mean())
        sys.stdout.write(f"{strength:8.1f}  {np.mean(gains):7.4f}  {np.mean(distances):8.4f}\n")
    return 0


def _histories(path: Path, items: ItemTable) -> list[list[int]]:
    """Returns each user's positive rows in the order of time, of users with five at least."""
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            row = items.row_of(line["item_id"])
            if row is not None and float(line["rating"]) >= _POSITIVE:
                found[line["user_id"]].append((float(line["timestamp"]), row))
    rows = [[row for _, row in sorted(events)] for events in found.values()]
    return [one for one in rows if len(one) > 4]


def _scored(histories: list[list[int]], count: int) -> list[tuple[int, np.ndarray]]:
    """Returns each user's last row and float64[n], the scores of the others; -inf for the history."""
    users = np.repeat(np.arange(len(histories)), [len(one) - 1 for one in histories])
    rows = np.concatenate([one[:-1] for one in histories])
    chosen = csr_array((np.ones(len(rows)), (users, rows)), shape=(len(histories), count))
    norms = np.sqrt(np.maximum(np.asarray(chosen.sum(axis=0)).ravel(), 1.0))
    scores = ((chosen / norms) @ chosen.T) @ chosen / norms
    found = []
    for place, one in enumerate(histories):
        own = np.asarray(scores[[place]].todense()).ravel().astype(np.float64)
        own[one[:-1]] = -np.inf
        found.append((one[-1], own))
    return found


def _pool(scores: np.ndarray, vectors: np.ndarray) -> RankedPool:
    candidates = np.flatnonzero(np.isfinite(scores))
    rows, best = top_rows(scores[candidates], candidates, _POOL)
    return RankedPool(rows, best.astype(np.float64), np.zeros(len(rows), np.int64), vectors[rows], complete=True)


if __name__ == "__main__":
    sys.exit(main())
