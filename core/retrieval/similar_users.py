"""Similar-users recall: items chosen by the training users whose histories are most like the caller's (user-kNN)."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from core.vectors import top_rows
from domain.recommendation import Source

_CHOICES_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Neighbourhood:
    """Settings of the neighbourhood.

    Attributes:
        count: users that vote, at least 1; all users as near as the last of them vote too.
        shrinkage: added to the norms' product, at least 0, so that short histories are not near by a single item.
    """

    count: int
    shrinkage: float

    def __post_init__(self) -> None:
        if self.count < 1 or not self.shrinkage >= 0 or not np.isfinite(self.shrinkage):
            raise ValueError(f"count is {self.count}, shrinkage {self.shrinkage}; expected at least 1 and at least 0")


class SimilarUsersSource:
    """Votes of the nearest users; similarity = |A and B| / (sqrt(|A|) sqrt(|B|) + shrinkage). Read-only.

    A half-life weighs the caller's events: |A and B| and |A| become sums of weights and of squared weights.
    """

    name: ClassVar[str] = Source.SIMILAR_USERS.value
    file: ClassVar[str] = "similar_users.npz"

    def __init__(self, ends: np.ndarray, rows: np.ndarray, item_count: int, neighbourhood: Neighbourhood) -> None:
        """Takes the users' histories without the users' names.

        Args:
            ends: int64[U + 1], where each user's rows begin in `rows`, and the end of the last.
            rows: int32[E], distinct items of each user.
            item_count: items of the catalogue.
            neighbourhood: how many users vote, and how they are compared.

        Raises:
            ValueError: the arrays don't fit, or name rows that don't exist.
        """
        if ends.ndim != 1 or rows.ndim != 1 or not len(ends) or ends[0] or ends[-1] != len(rows):
            raise ValueError(f"{len(rows)} rows, but users end at {ends[-1:].tolist()}")
        if (np.diff(ends) < 0).any() or (len(rows) and (rows.min() < 0 or rows.max() >= item_count)):
            raise ValueError(f"users' rows are out of order, or name rows beyond {item_count}")
        self.neighbourhood = neighbourhood
        self._ends, self._rows, self._item_count = ends.astype(np.int64), rows.astype(np.int32), item_count
        lengths = np.diff(self._ends)
        self._norms = np.sqrt(lengths)
        # The same by item: who chose it.
        users = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        self._users = users[np.argsort(self._rows, kind="stable")]
        self._item_ends = np.concatenate([[0], np.cumsum(np.bincount(self._rows, minlength=item_count))])

    def __len__(self) -> int:
        return self._item_count

    @property
    def user_count(self) -> int:
        """Users that may vote."""
        return len(self._norms)

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True with events on known items, where there is anybody to compare with."""
        return bool(len(query.events)) and self.user_count > 0

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores are sums of similarities, above 0."""
        scores = self._votes(query)
        candidates = np.flatnonzero((scores > 0) & ~blocked[: len(scores)])
        return top_rows(scores[candidates].astype(np.float32), candidates, count)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`; -inf for items that no similar user chose."""
        votes = self._votes(query)
        return SourceScores.of_catalogue(np.where(votes > 0, votes, -np.inf), rows, population)

    def _votes(self, query: SourceQuery) -> np.ndarray:
        """Returns float64[n], the nearest users' similarities summed by item."""
        history = np.unique(query.events.rows)
        history = history[(history >= 0) & (history < self._item_count)]
        half_life = query.half_lives.get(self.name, 0.0)
        weights = query.events.recency(history, half_life)
        # Item by item: a long history of popular items has millions of users in all, none of them twice an item.
        common = np.zeros(self.user_count)
        for row, weight in zip(history.tolist(), weights.tolist(), strict=True):
            common[self._users[self._item_ends[row] : self._item_ends[row + 1]]] += weight
        near = np.flatnonzero(common)
        if not len(near):
            return np.zeros(self._item_count)
        scale = np.sqrt((weights**2).sum()) * self._norms[near] + self.neighbourhood.shrinkage
        similarity = common[near] / scale
        if len(near) > self.neighbourhood.count:
            edge = np.partition(similarity, -self.neighbourhood.count)[-self.neighbourhood.count]
            near, similarity = near[similarity >= edge], similarity[similarity >= edge]
        # Users that are equally near may be many: their choices are added up by parts.
        sizes = self._ends[near + 1] - self._ends[near]
        cuts = np.searchsorted(np.cumsum(sizes), np.arange(_CHOICES_AT_ONCE, sizes.sum(), _CHOICES_AT_ONCE))
        votes = np.zeros(self._item_count)
        for part in np.split(np.arange(len(near)), cuts):
            votes += self._voted(near[part], similarity[part], sizes[part])
        return votes

    def _voted(self, users: np.ndarray, similarity: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Returns float64[n], the similarities of some users summed by item."""
        starts = np.repeat(self._ends[users] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        chosen = self._rows[starts + np.arange(int(sizes.sum()))]
        return np.bincount(chosen, np.repeat(similarity, sizes), minlength=self._item_count)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            OSError, ValueError, KeyError: the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                neighbourhood = Neighbourhood(int(arrays["count"]), float(arrays["shrinkage"]))
                return cls(arrays["ends"], arrays["rows"], int(arrays["item_count"]), neighbourhood)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ValueError(f"{path.name} is not a whole .npz file") from error

    def save(self, path: Path) -> None:
        """Writes what `load` reads."""
        with path.open("wb") as stream:
            np.savez(
                stream,
                ends=self._ends,
                rows=self._rows,
                item_count=self._item_count,
                count=self.neighbourhood.count,
                shrinkage=self.neighbourhood.shrinkage,
            )

    def remapped(self, target: np.ndarray, item_count: int) -> "SimilarUsersSource":
        """See `TableSource.remapped`; items that are not in the catalogue leave the histories."""
        moved = target[self._rows]
        kept = moved >= 0
        ends = np.concatenate([[0], np.cumsum(kept)])[self._ends]
        return SimilarUsersSource(ends, moved[kept], item_count, self.neighbourhood)
