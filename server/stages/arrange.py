"""Arranges a list by the request's rules, after it is ranked.

The scores stay the ranking's; places change. What a place gets depends on what lies before it and on the candidates
that follow, never on how many items are asked for: an arranged list for k begins every longer one too.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from core.ranking.fusion import Candidate, SourceView
from core.ranking.placement import WINDOW, MoreCandidatesNeeded, Placed, PlacementRules, RankedPool, place_items
from core.retrieval.fresh import FreshSource
from core.retrieval.source import SourceQuery
from core.vectors import unit
from domain.arrangement import SEED_BITS, Arrangement, ArrangementRule, in_rule_order
from domain.condition import values_of
from domain.recommendation import Degradation, DegradationReason, RecommendQuery, Source
from server.stages.release import ServingRelease
from server.stages.shortlist import ListRequest, Pass, Shortlist, shortlist

# New items beyond those that were recalled, for a request without a text.
_FRESH_ITEMS = 1_000


@dataclass(frozen=True)
class Move:
    """Places of one item.

    Attributes:
        rules: that gave it its place, or kept it from a better one.
        ranked_place: its place by score, from 1; None where it was not ranked.
    """

    rules: tuple[ArrangementRule, ...]
    ranked_place: int | None


@dataclass(frozen=True)
class Arranged:
    """A list as it was arranged.

    Attributes:
        found: the list.
        moves: by row; empty where nothing is arranged.
        unplaced_ids: pinned items that may not be recommended.
        degradations: rules without effect.
    """

    found: Shortlist
    moves: Mapping[int, Move] = field(default_factory=dict)
    unplaced_ids: tuple[str, ...] = ()
    degradations: tuple[Degradation, ...] = ()


def with_seed(query: RecommendQuery) -> RecommendQuery:
    """Gives draws without a seed one: the page's, which continues them, or a new one."""
    arrangement = query.arrangement
    if not arrangement.exploration or arrangement.seed is not None:
        return query
    continued = None if query.page is None else query.page.seed
    seed = secrets.randbits(SEED_BITS) if continued is None else continued
    return replace(query, arrangement=replace(arrangement, seed=seed))


def arranged(listing: ListRequest, first: Pass, arrangement: Arrangement, count: int) -> Arranged:
    """Returns at least `count` items, arranged, where so many exist and the rules permit them.

    Args:
        listing: the request.
        first: its first pass.
        arrangement: the rules.
        count: items wanted.
    """
    if not arrangement.places:
        found = shortlist(listing, first, count)
        if not arrangement.adjusts:
            return Arranged(found)
        order = [Placed(candidate.row) for candidate in found.candidates]
        return Arranged(found, _moves(order, found, listing), degradations=_limits(arrangement, listing, None))
    pinned, unplaced = _pins(arrangement, listing)
    fresh = _FreshItems.of(arrangement, listing)
    wanted = count + WINDOW
    while True:
        found = shortlist(listing, first, wanted)
        new_rows = fresh.candidates(found, listing)
        rules = PlacementRules(
            arrangement=arrangement,
            values=partial(_values, listing.release),
            vector_of=lambda row: _centred([row], listing.release)[0],
            pinned=pinned,
            new_rows=new_rows,
            is_new=fresh.is_new,
            seed=arrangement.seed or 0,
        )
        try:
            placed = place_items(_pool(found, listing.release, arrangement, wanted), rules, count)
            break
        except MoreCandidatesNeeded:
            wanted *= 2
    moves = _moves(placed, found, listing)
    return Arranged(
        replace(found, candidates=_candidates(placed, found, fresh)),
        moves,
        unplaced,
        _limits(arrangement, listing, fresh, placed),
    )


def _pool(found: Shortlist, release: ServingRelease, arrangement: Arrangement, wanted: int) -> RankedPool:
    rows = [candidate.row for candidate in found.candidates]
    width = len(release.catalogue.mean)
    return RankedPool(
        rows=np.asarray(rows, np.int64),
        scores=np.asarray([candidate.score for candidate in found.candidates], np.float64),
        tiers=np.asarray(found.tiers, np.int64),
        vectors=_centred(rows, release) if arrangement.diversity else np.zeros((len(rows), width), np.float32),
        complete=len(rows) < wanted,
    )


def _centred(rows: Sequence[int], release: ServingRelease) -> np.ndarray:
    """Returns float32[m, d], unit vectors around the catalogue's mean; zeros for what the encoder cannot read."""
    vectors = release.catalogue.vectors_of(rows)
    centred: np.ndarray = np.where(vectors.any(axis=1, keepdims=True), unit(vectors - release.catalogue.mean), 0.0)
    return centred.astype(np.float32)


def _values(release: ServingRelease, row: int, attribute: str) -> tuple[str, ...]:
    """Returns an item's values of an attribute, for caps."""
    value = release.catalogue.items_of([row])[0].attributes.get(attribute)
    if isinstance(value, bool | int | float):
        return (str(float(value)),)
    return values_of(value)


def _pins(arrangement: Arrangement, listing: ListRequest) -> tuple[dict[int, int], tuple[str, ...]]:
    """Returns rows by place, and the ids that may not be recommended, or do not exist."""
    rows = listing.release.catalogue.rows_of([pin.item_id for pin in arrangement.pins])
    blocked = listing.scope.blocked
    placed = {pin.place: rows[pin.item_id] for pin in arrangement.pins if pin.item_id in rows}
    placed = {place: row for place, row in sorted(placed.items()) if not blocked[row]}
    unplaced = [pin.item_id for pin in arrangement.pins if rows.get(pin.item_id) not in placed.values()]
    return placed, tuple(unplaced)


@dataclass(frozen=True)
class _FreshItems:
    """The new items of a request; nothing is new where no share of them is asked for.

    Attributes:
        new: bool[n]; None where nothing is new, or no attribute says when.
        rows: int64[m], new items that may be recommended without a text, the newest first.
        scores: float32[m], of the fresh source.
    """

    new: np.ndarray | None = None
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    scores: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))

    @classmethod
    def of(cls, arrangement: Arrangement, listing: ListRequest) -> "_FreshItems":
        source = listing.release.sources.get(Source.FRESH.value)
        if not arrangement.new_share or not isinstance(source, FreshSource):
            return cls()
        new = source.new_items(arrangement.new_within_s, time.time())
        if listing.recall.by_text:
            return cls(new)
        found = source.search(SourceQuery(), _FRESH_ITEMS, listing.scope.blocked | ~new)
        return cls(new, *found)

    def is_new(self, row: int) -> bool:
        return self.new is not None and bool(self.new[row])

    def candidates(self, found: Shortlist, listing: ListRequest) -> list[int]:
        """Returns the new items among the first pass, best first, then the others."""
        recalled: list[int] = []
        if self.new is not None and not listing.says_nothing:
            first = found.tiers[:1]
            recalled = [
                candidate.row
                for candidate, tier in zip(found.candidates, found.tiers, strict=True)
                if [tier] == first and self.new[candidate.row]
            ]
        return list(dict.fromkeys([*recalled, *self.rows.tolist()]))

    def candidate(self, row: int) -> Candidate:
        """Returns an item that no other source found, as the fresh source sees it."""
        places = np.flatnonzero(self.rows == row)
        views = [SourceView(Source.FRESH.value, int(place) + 1, float(self.scores[place])) for place in places]
        return Candidate(row, 0.0, tuple(views))


def _candidates(placed: Sequence[Placed], found: Shortlist, fresh: _FreshItems) -> list[Candidate]:
    known = {candidate.row: candidate for candidate in found.candidates}
    return [known.get(one.row) or fresh.candidate(one.row) for one in placed]


def _moves(placed: Sequence[Placed], found: Shortlist, listing: ListRequest) -> dict[int, Move]:
    """Returns the moves of a list by row."""
    places = {candidate.row: place for place, candidate in enumerate(found.candidates, start=1)}
    adjustment = listing.adjustment
    moves = {}
    for one in placed:
        rules = set(one.rules)
        if adjustment is not None and adjustment.boosts[one.row]:
            rules.add(ArrangementRule.BOOST)
        if one.row in found.lifted and not rules:
            rules.add(ArrangementRule.NOVELTY)
        moves[one.row] = Move(in_rule_order(rules), places.get(one.row))
    return moves


def _limits(
    arrangement: Arrangement, listing: ListRequest, fresh: _FreshItems | None, placed: Sequence[Placed] = ()
) -> tuple[Degradation, ...]:
    """Returns the rules that had no effect, or less than was asked for."""
    limits = []
    if arrangement.novelty and (listing.adjustment is None or listing.adjustment.chosen_shares is None):
        limits.append("novelty had no effect: the release does not know what is popular")
    if arrangement.new_share and fresh is not None:
        if fresh.new is None:
            limits.append("no item is known to be new: no attribute says since when items exist")
        elif sum(fresh.is_new(one.row) for one in placed) < int(arrangement.new_share * len(placed) + 1e-9):
            limits.append("too few new items may be recommended for the share that was asked for")
    if not limits:
        return ()
    return (Degradation(DegradationReason.ARRANGEMENT_LIMITED, "; ".join(limits)),)
