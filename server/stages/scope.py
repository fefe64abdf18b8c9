"""The rows that a request may return, in passes: first those that meet its wishes, then all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.kept_masks import own
from domain.condition import Condition
from domain.errors import FieldViolation, InvalidRequest
from domain.recommendation import RecommendQuery
from server.stages.history import History
from server.stages.mentions import mentions
from server.stages.release import ServingRelease
from server.stages.understand import Understood


@dataclass(frozen=True)
class Scope:
    """Rows that a request may return.

    Attributes:
        passes: bool[n] each, rows that must not be returned by a pass; a later one blocks less.
        listed: whether the caller listed the rows to rank, so that every one of them is ranked.
        unknown_ids: candidates that the catalogue does not have.
    """

    passes: tuple[np.ndarray, ...]
    listed: bool = False
    unknown_ids: tuple[str, ...] = ()

    @property
    def blocked(self) -> np.ndarray:
        """bool[n], rows that no pass returns."""
        return self.passes[-1]


def scope_of(query: RecommendQuery, understood: Understood, history: History, release: ServingRelease) -> Scope:
    """Returns the rows that a request may return.

    Raises:
        InvalidRequest: a condition does not fit the catalogue's attributes.
    """
    catalogue = release.catalogue
    blocked = catalogue.blocked_by(understood.conditions)
    barred = list(catalogue.rows_of(query.exclude_item_ids).values())
    unknown: tuple[str, ...] = ()
    if query.candidate_item_ids:
        known = catalogue.rows_of(query.candidate_item_ids)
        unknown = tuple(item_id for item_id in query.candidate_item_ids if item_id not in known)
        others = np.ones(len(blocked), bool)
        others[list(known.values())] = False
        blocked = blocked | others
    else:
        barred += history.disliked_rows if query.include_seen else history.seen_rows
    if query.any_of_groups:
        blocked = blocked | _failing_groups(query.any_of_groups, release)
    for alternatives in understood.enforced:
        blocked = blocked | _failing(alternatives, release)
    if barred or understood.banned_terms:
        # The mask of a request that asks for nothing is every request's.
        blocked = own(blocked)
        blocked[barred] = True
    for term in understood.banned_terms:
        blocked[mentions(term, release)] = True
    passes: tuple[np.ndarray, ...] = (blocked,)
    if understood.wishes or understood.unwanted_terms:
        passes = _passes(blocked, _unmet_counts(understood, len(blocked), release))
    return Scope(passes, bool(query.candidate_item_ids), unknown)


def _passes(blocked: np.ndarray, unmet_counts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns a pass for each number of unmet wishes that occurs, the fewest first."""
    occurring = np.unique(unmet_counts[~blocked])
    return (*(blocked | (unmet_counts > count) for count in occurring[:-1]), blocked)


def _unmet_counts(understood: Understood, item_count: int, release: ServingRelease) -> np.ndarray:
    """Returns int32[n], how many wishes each row fails, and unwanted terms it has.

    Raises:
        InvalidRequest: a preference does not fit the catalogue's attributes.
    """
    counts = np.zeros(item_count, np.int32)
    for term in understood.unwanted_terms:
        counts[mentions(term, release)] += 1
    violations: list[FieldViolation] = []
    for number, alternatives in enumerate(understood.wishes):
        try:
            counts += _failing(alternatives, release)
        except InvalidRequest as error:
            # The catalogue numbers what it is given; a caller's preferences are the first wishes.
            violations += [
                replace(violation, field=violation.field.replace("conditions[0]", f"preferences[{number}]"))
                for violation in error.violations
            ]
    if violations:
        raise InvalidRequest(*violations)
    return counts


def meets_named(row: int, understood: Understood, release: ServingRelease) -> bool:
    """Returns whether an item meets every wish that the text names for something, of which there is one at least."""
    named = [wish for wish in understood.interpretation.wishes if not wish.condition.negate]
    return bool(named) and not any(_failing((wish.condition, *wish.alternatives), release)[row] for wish in named)


def _failing_groups(groups: Sequence[Sequence[Condition]], release: ServingRelease) -> np.ndarray:
    """Returns bool[n], rows that meet no group whole, and what is not available.

    Raises:
        InvalidRequest: a condition does not fit the catalogue's attributes.
    """
    failing: np.ndarray = np.logical_and.reduce([release.catalogue.blocked_by(tuple(group)) for group in groups])
    return failing


def _failing(alternatives: Sequence[Condition], release: ServingRelease) -> np.ndarray:
    """Returns bool[n], rows that meet none of some conditions, and what is not available."""
    failing: np.ndarray = np.logical_and.reduce([release.catalogue.blocked_by((one,)) for one in alternatives])
    return failing
