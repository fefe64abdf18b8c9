"""Conditions that all have to hold, though no item can meet them together."""

from collections.abc import Sequence

from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, Range, Test, TimeRange


def contradiction(conditions: Sequence[Condition]) -> tuple[int, int] | None:
    """Returns the places of the first two conditions that no value can meet both; None where there are none.

    A number, a moment and a truth value are one value of an item: it lies in both ranges, or is one of both sets.
    Texts are left alone, since an attribute may have several of them. A negated condition excludes one that asks for
    nothing beyond what it forbids.
    """
    for place, condition in enumerate(conditions):
        for earlier, other in enumerate(conditions[:place]):
            if condition.attribute == other.attribute and _exclude_each_other(condition, other):
                return earlier, place
    return None


def _exclude_each_other(one: Condition, other: Condition) -> bool:
    if one.negate != other.negate:
        asked, forbidden = (other, one) if one.negate else (one, other)
        return _is_within(asked.test, forbidden.test)
    if one.negate:
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


def _is_within(one: Test, other: Test) -> bool:
    """Returns whether whatever meets the first test surely meets the second."""
    within = one == other
    match one, other:
        case AnyOf(values, ignore_case), AnyOf(more, ignores_case):
            folded = {value.casefold() for value in more}
            within = (not ignore_case and values <= more) or (
                ignores_case and all(value.casefold() in folded for value in values)
            )
        case AnyNumber(numbers), AnyNumber(more_numbers):
            within = numbers <= more_numbers
        case AnyNumber(numbers), Range() as ends:
            within = all(_lies_in(number, ends) for number in numbers)
        case Range(low, high), Range(least, most):
            within = (least is None or (low is not None and low >= least)) and (
                most is None or (high is not None and high <= most)
            )
        case TimeRange(start, end), TimeRange(first, last):
            within = (first is None or (start is not None and start >= first)) and (
                last is None or (end is not None and end <= last)
            )
        case _, Exists(True):
            within = not isinstance(one, Exists) or one.value
    return within


def _lies_in(number: float, ends: Range) -> bool:
    return not (_above(ends.minimum, number) or _above(number, ends.maximum))


def _above(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low > high


def _after(low: tuple[int, int] | None, high: tuple[int, int] | None) -> bool:
    return low is not None and high is not None and low > high
