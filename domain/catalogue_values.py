"""Contents of a catalogue's attributes, as the reading of texts needs them."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.item import AttributeType


@dataclass(frozen=True)
class NumberRange:
    """Extent of a number or timestamp attribute in a catalogue.

    Attributes:
        minimum: the least value; of timestamps, seconds since 1970 UTC.
        maximum: the largest value.
        integral: whether every value is a whole number.
    """

    minimum: float
    maximum: float
    integral: bool


@dataclass(frozen=True)
class CatalogueValues:
    """Contents of a catalogue's attributes, and its titles.

    Attributes:
        types: type of every attribute.
        counts: by attribute of strings, how often each value occurs.
        ranges: by number or timestamp attribute, the extent of its values.
        titles: of its items; empty ones are left out.
    """

    types: Mapping[str, AttributeType]
    counts: Mapping[str, Mapping[str, int]]
    ranges: Mapping[str, NumberRange]
    titles: tuple[str, ...] = ()
