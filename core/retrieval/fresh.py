"""New items: for a caller of whom nothing is known, for scenes that ask for them, for a guaranteed share."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.retrieval.popular import PopularSource
from core.retrieval.source import SourceQuery, SourceScores, first_free
from core.row_order import RowOrder, best_first
from core.scaling import Population
from domain.item import AttributeType
from domain.recommendation import Source

_SAYS_WHEN = re.compile(r"(^|_)(year|date|released|published|created|added)(_|$)")
_YEARS = (1850.0, 2200.0)
_EPOCH_YEAR = 1970
_DAY_S = 86_400
_YEAR_S = 365.2425 * _DAY_S
# Bonus of an item that nobody chose yet, in shares of the catalogue.
_BONUS = 0.25
# Share of the items with a date that count as new.
_NEWEST = 0.1
# Says when an item ends, not how new it is.
_ENDS = "available_until"
# An item of which only its first appearance in the catalogue is known counts as new for so long.
FIRST_SEEN_DAYS = 30


@dataclass(frozen=True)
class Dates:
    """Times by which items are new or old.

    Attributes:
        since: float64[n], larger for newer items, NaN where it is unknown.
        first_seen: bool[n], where the time is that of the item's first appearance: it is new for `FIRST_SEEN_DAYS`.
    """

    since: np.ndarray
    first_seen: np.ndarray


class FreshSource:
    """Items by how new they are, and by how little is known of them: those that few chose are explored first.

    score = newness, 1 for the newest to 0, + BONUS / sqrt(1 + n), n being how many chose the item: the width of the
    confidence bound of its rate (UCB1, Auer, Cesa-Bianchi and Fischer 2002), without its constant.
    """

    name: ClassVar[str] = Source.FRESH.value

    def __init__(
        self,
        dates: Dates,
        log_prior: np.ndarray | None = None,
        now_s: Callable[[], float] = time.time,
        order: RowOrder | None = None,
    ) -> None:
        """Puts the items in order.

        Args:
            dates: of the items.
            log_prior: float[n], log P(i); None where it is not known.
            now_s: returns the time, in seconds since 1970.
            order: of items with equal scores; None where they ascend by id.
        """
        self._dates, self._now_s = dates, now_s
        self._some_age = bool(dates.first_seen.any())
        since = dates.since
        known = np.flatnonzero(~np.isnan(since))
        newer = len(known) - np.searchsorted(np.sort(since[known]), since[known], side="right")
        self._newness = np.full(len(since), -np.inf, np.float32)
        self._newness[known] = 1 - newer / max(len(known), 1)
        self._shares = self._newness
        if log_prior is not None:
            # P(i) / P(an item that nobody chose) = 1 + n, since the prior counts everything once more than it was seen.
            self._shares = self._newness + _BONUS * np.exp((log_prior.min() - log_prior) / 2)
        self._rows = known[best_first(self._shares[known], known, order)]
        self._since_s = since

    def with_popularity(self, popular: PopularSource) -> "FreshSource":
        """Returns the source with the bonus of another prior; rows beyond this source's are left out."""
        return FreshSource(self._dates, popular.log_prior[: len(self._dates.since)], self._now_s)

    def new_items(self, within_s: float | None, now_s: float) -> np.ndarray:
        """Returns bool[n], what counts as new.

        Args:
            within_s: for how long an item is new, in seconds; None counts the newest tenth of the items with a date.
            now_s: seconds since 1970.
        """
        if within_s is None:
            new: np.ndarray = (self._newness > 1 - _NEWEST) & ~self._no_longer_new(now_s)
            return new
        recent: np.ndarray = (self._since_s >= now_s - within_s) & (self._since_s <= now_s)
        return recent

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where the query has nothing that another source goes by, or names this one."""
        return (query.is_empty or self.name in query.named) and len(self._rows) > 0

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; the score is that of the class."""
        known = self._rows
        if self._some_age:
            known = known[~self._no_longer_new(self._now_s())[known]]
        rows = known[first_free(known, blocked, count)]
        return rows, self._shares[rows]

    def _no_longer_new(self, now_s: float) -> np.ndarray:
        """Returns bool[n], items that are known by their first appearance alone, and have been there for long."""
        old: np.ndarray = self._dates.first_seen & (self._since_s < now_s - FIRST_SEEN_DAYS * _DAY_S)
        return old

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        return SourceScores.of_catalogue(self._shares, rows, population)


def dates_of(
    types: Mapping[str, AttributeType], numbers: Mapping[str, np.ndarray], first_seen_s: np.ndarray
) -> Dates | None:
    """Returns the times by which items are new or old: an attribute's, else those of their first appearance.

    Args:
        types: of the attributes.
        numbers: float64[n] by number or timestamp attribute, NaN where absent.
        first_seen_s: float64[n], when the catalogue first had each item, seconds since 1970; NaN where that is unknown.

    Returns:
        Times in seconds since 1970; None where nothing says when.
    """
    since_s = _attribute_s(types, numbers)
    since_s = np.full(len(first_seen_s), np.nan) if since_s is None else since_s
    seen = np.isnan(since_s) & ~np.isnan(first_seen_s)
    since_s = np.where(seen, first_seen_s, since_s)
    return None if np.isnan(since_s).all() else Dates(since_s, seen)


def appeared_later(first_seen_s: np.ndarray) -> np.ndarray:
    """Returns float64[n], the times with NaN for the earliest.

    Those items were there when a catalogue's times began to be kept: how new they are is not known.
    """
    return np.where(first_seen_s > np.nanmin(first_seen_s), first_seen_s, np.nan)


def _attribute_s(types: Mapping[str, AttributeType], numbers: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Returns float64[n], the attribute that says when, in seconds since 1970; None where there is none."""
    for name in sorted(numbers, key=lambda name: (types[name] is not AttributeType.TIMESTAMP, name)):
        if name == _ENDS:
            continue
        values = numbers[name]
        known = values[~np.isnan(values)]
        if not len(known):
            continue
        if types[name] is AttributeType.TIMESTAMP:
            return values
        if _SAYS_WHEN.search(name.casefold()) and known.min() >= _YEARS[0] and known.max() <= _YEARS[1]:
            in_seconds: np.ndarray = (values - _EPOCH_YEAR) * _YEAR_S
            return in_seconds
    return None
