"""Rules by which a ranked list is arranged."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta

from shortlist.conditions import Condition


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many items that share a value of an attribute.

    Attributes:
        attribute: of text, texts, numbers or truth values; an item counts for each value that it has.
        most: items with one value, 1 to 1,000.
        within: among so many consecutive places; None for the whole list.
    """

    attribute: str
    most: int
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """An item that stands at a place of the whole list, 1 to 1,000."""

    item_id: str
    place: int


@dataclass(frozen=True, slots=True)
class Boost:
    """Items that move up or down among those that were found. Give either a condition or ids.

    Attributes:
        strength: -1 to 1, not 0; 1 lifts an item by as much as lies between the first and the hundredth score.
        condition: that the items meet.
        item_ids: the items, 1 to 1,000.
    """

    strength: float
    _: KW_ONLY
    condition: Condition | None = None
    item_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Rules by which a ranked list is arranged; None leaves a number to the gateway's default.

    Attributes:
        diversity: how much unlike the items before it an item should be, 0 to 1.
        caps: at most so many items of a value, at most 8, each of another attribute.
        pins: items with a place of their own, at most 100.
        boosts: items that move up or down, at most 32.
        new_share: least share of new items in every beginning of the list, 0 to 1.
        new_within: for how long an item is new; None counts the newest tenth of the catalogue.
        exploration: share of the places that a draw fills, 0 to 1.
        seed: of the draws, at least 0; None takes a new one, which the reply names.
        novelty: how much what few people chose is preferred, 0 to 1.
    """

    _: KW_ONLY
    diversity: float | None = None
    caps: Sequence[Cap] = ()
    pins: Sequence[Pin] = ()
    boosts: Sequence[Boost] = ()
    new_share: float | None = None
    new_within: timedelta | None = None
    exploration: float | None = None
    seed: int | None = None
    novelty: float | None = None
