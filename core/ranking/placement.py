"""Places the items of a ranked list by rules: pins, caps, new items, exploration and diversity.

Place by place, from the first: a pinned item, else a new one where too few came before, else a draw, else the candidate
with the largest

    (1 - diversity) relevance - diversity max over the placed of similarity

(maximal marginal relevance, Carbonell and Goldstein 1998). A place is chosen among `WINDOW` candidates, those that
follow the first permitted one, so that the places of a list never depend on how long it is. Candidates of a later tier
have their turn when none of an earlier one is permitted.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.ranking.caps import CapCounts
from core.ranking.score_adjustment import unit_scale
from domain.arrangement import Arrangement, ArrangementRule

WINDOW = 100


class MoreCandidatesNeeded(Exception):
    """Signal that a place cannot be chosen before more candidates are known."""


@dataclass(frozen=True)
class RankedPool:
    """A ranked list as places are given.

    Attributes:
        rows: int64[m], distinct, best first.
        scores: float64[m], falling within a tier.
        tiers: int64[m], ascending; what a list must not mix.
        vectors: float32[m, d], centred and unit, zeros where nothing is known of an item.
        complete: whether nothing follows.
    """

    rows: np.ndarray
    scores: np.ndarray
    tiers: np.ndarray
    vectors: np.ndarray
    complete: bool


@dataclass(frozen=True)
class PlacementRules:
    """Rules by row.

    Attributes:
        arrangement: of the request.
        pinned: row by place, from 1.
        new_rows: candidates of the guaranteed share, best first.
        is_new: whether a row counts as new.
        values: an item's values of an attribute.
        vector_of: a row's vector, as those of the pool.
        seed: of the draws.
    """

    arrangement: Arrangement
    values: Callable[[int, str], Sequence[str]]
    vector_of: Callable[[int], np.ndarray]
    pinned: dict[int, int] = field(default_factory=dict)
    new_rows: Sequence[int] = ()
    is_new: Callable[[int], bool] = lambda _: False
    seed: int = 0


@dataclass(frozen=True)
class Placed:
    """An item at its place.

    Attributes:
        row: the item.
        rules: that gave it its place, or kept it from a better one; none where its score did.
    """

    row: int
    rules: frozenset[ArrangementRule] = frozenset()


def place_items(pool: RankedPool, rules: PlacementRules, count: int) -> list[Placed]:
    """Returns the first `count` places, fewer where the rules permit no more.

    Raises:
        MoreCandidatesNeeded: the pool is not complete, and what follows may have a say in one of these places.
    """
    return list(_Placement(pool, rules).placed(count))


class _Placement:
    """A list as its places are given."""

    def __init__(self, pool: RankedPool, rules: PlacementRules) -> None:
        self._pool = pool
        self._rules = rules
        self._diversity = rules.arrangement.diversity or 0.0
        self._relevance = _relevance(pool)
        self._caps = CapCounts(rules.arrangement.caps, rules.values)
        self._random = random.Random(rules.seed)
        self._taken = set(rules.pinned.values())
        self._open = [place for place, row in enumerate(pool.rows.tolist()) if row not in self._taken]
        self._position = {row: place for place, row in enumerate(pool.rows.tolist())}
        self._vectors: list[np.ndarray] = []
        self._similar = np.full(len(pool.rows), np.nan)
        self._held: set[int] = set()
        self._barred: set[int] = set()
        self._new_count = 0
        for place, row in rules.pinned.items():
            self._caps.add(place, row)

    def placed(self, count: int) -> Iterator[Placed]:
        """Yields places from the first."""
        pinned = dict(self._rules.pinned)
        for place in range(1, count + 1):
            # Both draws are made at every place, so that no other rule changes what is drawn later.
            explores, drawn = self._random.random(), self._random.random()
            row = pinned.pop(place, None)
            if row is not None:
                found: Placed | None = Placed(row, frozenset({ArrangementRule.PIN}))
            else:
                found = self._chosen(place, explores < (self._rules.arrangement.exploration or 0.0), drawn)
            if found is None:
                if not pinned:
                    return
                # The list is shorter than a pinned item's place: it ends with it.
                found = Placed(pinned.pop(min(pinned)), frozenset({ArrangementRule.PIN}))
            self._note(place, found.row)
            yield found

    def _chosen(self, place: int, explores: bool, drawn: float) -> Placed | None:
        new = self._new_at(place)
        if new is not None:
            return new
        window, skipped = self._window(place)
        if not window:
            return None
        held = frozenset({ArrangementRule.CAP}) if skipped else frozenset()
        if explores:
            permitted = [spot for spot in window if self._permitted(spot, place)]
            spot = permitted[int(drawn * len(permitted))]
            return self._taken_from(spot, frozenset({ArrangementRule.EXPLORATION}))
        if not self._diversity:
            return self._taken_from(window[0], held)
        values = (1 - self._diversity) * self._relevance[window] - self._diversity * self._similarities(window)
        for index in np.argsort(-values, kind="stable").tolist():
            spot = window[index]
            if self._permitted(spot, place):
                moved = frozenset({ArrangementRule.DIVERSITY}) if spot != window[0] else held
                return self._taken_from(spot, moved)
        return None

    def _taken_from(self, spot: int, rules: frozenset[ArrangementRule]) -> Placed:
        if spot in self._held:
            rules |= {ArrangementRule.CAP}
        return Placed(int(self._pool.rows[spot]), rules)

    def _new_at(self, place: int) -> Placed | None:
        """Returns the new item that this place is due to; None where enough came before, or none is permitted."""
        if self._new_count >= int((self._rules.arrangement.new_share or 0.0) * place + 1e-9):
            return None
        for row in self._rules.new_rows:
            if row not in self._taken and self._caps.permits(place, row):
                return Placed(row, frozenset({ArrangementRule.NEW}))
        return None

    def _window(self, place: int) -> tuple[list[int], bool]:
        """Returns the spots of a place's candidates, the first one permitted, and whether others were passed over."""
        skipped = False
        self._open = [spot for spot in self._open if spot not in self._barred]
        for index, spot in enumerate(self._open):
            if self._permitted(spot, place):
                # Diversity and draws alone look further than the first one.
                if not (self._diversity or self._rules.arrangement.exploration):
                    return [spot], skipped
                end = spot + WINDOW
                if end > len(self._pool.rows) and not self._pool.complete:
                    raise MoreCandidatesNeeded
                tier = self._pool.tiers[spot]
                following = self._open[index : index + WINDOW]
                return [one for one in following if one < end and self._pool.tiers[one] == tier], skipped
            self._held.add(spot)
            if self._caps.bars(int(self._pool.rows[spot])):
                self._barred.add(spot)
            skipped = True
        if not self._pool.complete:
            raise MoreCandidatesNeeded
        return [], skipped

    def _permitted(self, spot: int, place: int) -> bool:
        return self._caps.permits(place, int(self._pool.rows[spot]))

    def _similarities(self, window: list[int]) -> np.ndarray:
        """Returns float64[w], the largest similarity of each spot with what is placed; 0 where nothing is."""
        if not self._vectors:
            return np.zeros(len(window))
        spots = np.asarray(window)
        fresh = spots[np.isnan(self._similar[spots])]
        if len(fresh):
            self._similar[fresh] = (self._pool.vectors[fresh] @ np.stack(self._vectors).T).max(axis=1)
        similar: np.ndarray = self._similar[spots]
        return similar

    def _note(self, place: int, row: int) -> None:
        """Counts an item at its place."""
        if self._rules.pinned.get(place) != row:
            self._caps.add(place, row)
        self._taken.add(row)
        self._new_count += self._rules.is_new(row)
        spot = self._position.get(row)
        if spot is not None and spot in self._open:
            self._open.remove(spot)
        if self._diversity:
            vector = self._rules.vector_of(row) if spot is None else self._pool.vectors[spot]
            self._vectors.append(vector)
            known = np.flatnonzero(~np.isnan(self._similar))
            self._similar[known] = np.maximum(self._similar[known], self._pool.vectors[known] @ vector)


def _relevance(pool: RankedPool) -> np.ndarray:
    """Returns float64[m], scores on the scale of their tier: 1 for the first, 0 for the hundredth."""
    relevance = np.zeros(len(pool.rows))
    for tier in np.unique(pool.tiers):
        spots = np.flatnonzero(pool.tiers == tier)
        low, length = unit_scale(pool.scores[spots])
        if length > 0:
            relevance[spots] = (pool.scores[spots] - low) / length
    return relevance
