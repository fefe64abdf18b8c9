"""Rules by which a ranked list is arranged: diversity, caps, pins, boosts, new items, exploration, novelty."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from domain.condition import Condition

# Bits of a seed that the gateway draws; a double holds it exactly.
SEED_BITS = 48


class ArrangementRule(StrEnum):
    """Rule that gave an item its place, or kept it from a better one."""

    PIN = "pin"
    BOOST = "boost"
    CAP = "cap"
    DIVERSITY = "diversity"
    NEW = "new"
    EXPLORATION = "exploration"
    NOVELTY = "novelty"


@dataclass(frozen=True)
class Cap:
    """Most items that share a value of an attribute.

    Attributes:
        attribute: of strings, lists of strings, numbers or truth values; an item counts for each value that it has.
        most: items, at least 1.
        within: among so many consecutive places; 0 for the whole list.
    """

    attribute: str
    most: int
    within: int = 0


@dataclass(frozen=True)
class Pin:
    """Item that stands at a place, from 1."""

    item_id: str
    place: int


@dataclass(frozen=True)
class Boost:
    """Items that move up or down.

    Attributes:
        strength: -1 to 1; 1 lifts an item by as much as lies between the first and the hundredth score.
        item_ids: the items; empty where a condition names them.
        condition: that the items meet; None where they are listed.
    """

    strength: float
    item_ids: tuple[str, ...] = ()
    condition: Condition | None = None


@dataclass(frozen=True)
class Arrangement:
    """Rules of one request or scene; None leaves a number to the scene, or to its default, 0.

    Attributes:
        diversity: 0 keeps the ranked order, 1 takes what is least like the items before it.
        caps: at most so many of a value.
        pins: items with a place of their own.
        boosts: items that move up or down.
        new_share: least share of new items in every beginning of the list, 0 to 1.
        new_within_s: seconds for which an item is new; None counts the newest tenth of the catalogue.
        exploration: share of places that a draw fills, 0 to 1.
        seed: of the draws; None takes a new one.
        novelty: 0 ignores how popular items are, 1 orders by how few chose them.
    """

    diversity: float | None = None
    caps: tuple[Cap, ...] = ()
    pins: tuple[Pin, ...] = ()
    boosts: tuple[Boost, ...] = ()
    new_share: float | None = None
    new_within_s: float | None = None
    exploration: float | None = None
    seed: int | None = None
    novelty: float | None = None

    @property
    def places(self) -> bool:
        """True where places are given by something besides the scores."""
        return bool(self.diversity or self.caps or self.pins or self.new_share or self.exploration)

    @property
    def adjusts(self) -> bool:
        """True where scores are changed."""
        return bool(self.boosts or self.novelty)

    @property
    def is_empty(self) -> bool:
        """True where nothing is changed."""
        return not (self.places or self.adjusts)

    def over(self, defaults: "Arrangement") -> "Arrangement":
        """Returns these rules with what they leave open filled from others.

        A cap replaces the other one on its attribute, a pin the other one at its place or of its item; boosts add up.
        """
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        given = {name: value for name, value in own.items() if value is not None and not isinstance(value, tuple)}
        attributes = {cap.attribute for cap in self.caps}
        taken = {pin.place for pin in self.pins} | {pin.item_id for pin in self.pins}
        return replace(
            defaults,
            **given,
            caps=(*self.caps, *(cap for cap in defaults.caps if cap.attribute not in attributes)),
            pins=(*self.pins, *(pin for pin in defaults.pins if not {pin.place, pin.item_id} & taken)),
            boosts=(*self.boosts, *defaults.boosts),
        )


def in_rule_order(rules: Iterable[ArrangementRule]) -> tuple[ArrangementRule, ...]:
    """Returns rules in the order of the enumeration, each once."""
    named = set(rules)
    return tuple(rule for rule in ArrangementRule if rule in named)
