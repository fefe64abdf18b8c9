"""Order of a catalogue's rows whose scores are equal: by item id, at any length of a list."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class RowOrder:
    """Rows by the ids of their items. Those of a release ascend by id; later ones follow as they were added.

    Attributes:
        sorted_count: rows below ascend by id.
        id_of: returns the id of a row.
        rows: int64[p], the row of each place, where places are ordered in place of rows.
    """

    sorted_count: int
    id_of: Callable[[int], str]
    rows: np.ndarray | None = None

    def of_places(self, rows: np.ndarray) -> "RowOrder":
        """Returns the order of places, of which each stands for a row, int64[p]."""
        return replace(self, rows=rows)

    def by_id(self, rows: np.ndarray) -> np.ndarray:
        """Returns int64[m], ascending rows, or places, in the order of their ids."""
        known = rows if self.rows is None else self.rows[rows]
        late = known >= self.sorted_count
        early = rows[~late] if self.rows is None else rows[~late][np.argsort(known[~late])]
        if not late.any():
            return early
        ids = {place: self.id_of(row) for place, row in zip(rows[late].tolist(), known[late].tolist(), strict=True)}
        following = sorted(ids, key=ids.__getitem__)
        before = [bisect_left(early, ids[place], key=self._id_of_place) for place in following]
        return np.insert(early, before, following)

    def settled(self, places: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns int64[m], an order by score, best first and equal scores by row, with equal scores by id.

        Args:
            places: int64[m], the order.
            scores: float[m].
            rows: int64[m], distinct rows, or places, of the scores.
        """
        if not len(rows) or (self.rows is None and int(rows.max()) < self.sorted_count):
            return places
        ordered = scores[places]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
        repeated = np.flatnonzero(np.diff(starts) > 1).tolist()
        if not repeated:
            return places
        settled = places.copy()
        for number in repeated:
            start, end = int(starts[number]), int(starts[number + 1])
            own = rows[places[start:end]]
            # The last one is the latest: rows that are all a release's are in their order.
            if self.rows is None and own[-1] < self.sorted_count:
                continue
            place_of = dict(zip(own.tolist(), places[start:end].tolist(), strict=True))
            settled[start:end] = [place_of[row] for row in self.by_id(own).tolist()]
        return settled

    def _id_of_place(self, place: np.int64) -> str:
        return self.id_of(int(place if self.rows is None else self.rows[place]))


def best_first(scores: np.ndarray, rows: np.ndarray, order: RowOrder | None = None) -> np.ndarray:
    """Returns int64[m], the places of scores, best first; equal ones by the id of the item.

    Args:
        scores: float[m].
        rows: int64[m], distinct, of the scores.
        order: of the rows; None where they ascend by id.
    """
    places: np.ndarray = np.lexsort((rows, -scores))
    return places if order is None else order.settled(places, scores, rows)
