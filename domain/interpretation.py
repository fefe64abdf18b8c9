"""Wishes that a text names, understood by the catalogue's own values and types."""

from dataclasses import dataclass
from enum import StrEnum

from domain.condition import Condition


class TextInterpretation(StrEnum):
    """Use of the wishes that a text names."""

    PREFER = "prefer"
    ENFORCE = "enforce"
    OFF = "off"


@dataclass(frozen=True)
class Wish:
    """Condition that a text names.

    Attributes:
        condition: as a caller can send it.
        phrase: the words of the text that name it, as written, cue words included.
        alternatives: conditions on other attributes that hold the same value ("Clint Eastwood" directs and plays): the
            text may mean any of them. Negated wishes have none: each attribute has a wish of its own.
    """

    condition: Condition
    phrase: str
    alternatives: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class NumberOrder:
    """Order by a number that a text names ("cheapest").

    Attributes:
        attribute: a number, or an instant.
        descending: whether the largest comes first.
        phrase: the words of the text that name it.
    """

    attribute: str
    descending: bool
    phrase: str


@dataclass(frozen=True)
class Interpretation:
    """Result of reading a text.

    Attributes:
        wishes: the conditions that it names.
        orders: the orders that it names.
        excluded_terms: negated words that are not a value of an attribute.
        search_text: the text to encode and to match by words: without negations, numbers and orders. Empty where
            nothing is left.
    """

    wishes: tuple[Wish, ...] = ()
    orders: tuple[NumberOrder, ...] = ()
    excluded_terms: tuple[str, ...] = ()
    search_text: str = ""

    def __bool__(self) -> bool:
        """True where something was understood."""
        return bool(self.wishes or self.orders or self.excluded_terms)
