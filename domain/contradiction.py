"""Conditions that all have to hold, though no item can meet them together."""

from collections.abc import Sequence

from domain.condition import AnyNumber, Condition, Equals, Range, TimeRange


def contradiction(conditions: Sequence[Condition]) -> tuple[int, int] | None:
    """Returns the places of the first two conditions that no value can meet both; None where there are none.

    A number, a moment and a truth value are one value of an item: it lies in both ranges, or is one of both sets.
    Texts are left alone, since an attribute may have several of them, as are negated conditions.
    """
    for place, condition in enumerate(conditions):
        for earlier, other in enumerate(conditions[:place]):
            if condition.attribute == other.attribute and _exclude_each_other(condition, other):
                return earlier, place
    return None


def _exclude_each_other(one: Condition, other: Condition) -> bool:
    if one.negate or other.negate:
        return False
    excluded = False
    match one.test, other.test:
        case Equals(first), Equals(second):
            excluded = first is not second
        case AnyNumber(first), AnyNumber(second):
            excluded = first.isdisjoint(second)
        case (AnyNumber(numbers), Range() as ends) | (Range() as ends, AnyNumber(numbers)):
            excluded = not any(_lies_in(number, ends) for number in numbers)
        case Range(low, high), Range(other_low, other_high):
            excluded = _above(low, other_high) or _above(other_low, high)
        case TimeRange(low, high), TimeRange(other_low, other_high):
            excluded = _after(low, other_high) or _after(other_low, high)
    return excluded


def _lies_in(number: float, ends: Range) -> bool:
    return not (_above(ends.minimum, number) or _above(number, ends.maximum))


def _above(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low > high


def _after(low: tuple[int, int] | None, high: tuple[int, int] | None) -> bool:
    return low is not None and high is not None and low > high
