"""Conditions that contradict each other, against a search over values."""

import itertools

import pytest

from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, Range, TimeRange, meets
from domain.contradiction import contradiction
from domain.timestamp import Timestamp

NUMBERS = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
TESTS = [
    *(AnyNumber(frozenset(numbers)) for numbers in ((1.0,), (2.0,), (1.0, 2.0), (0.0, 3.0))),
    *(Range(low, high) for low in (None, 1.0, 2.0) for high in (None, 0.5, 2.0) if None in (low, high) or low <= high),
]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(TESTS, TESTS)))
def test_numbers_contradict_where_none_meets_both(one, other):
    pair = Condition("price", one), Condition("price", other)
    met = any(all(meets(condition, {"price": number}) for condition in pair) for number in NUMBERS)
    assert contradiction(pair) == (None if met else (0, 1))


@pytest.mark.parametrize(("one", "other"), list(itertools.product(TESTS, TESTS)))
def test_a_negated_condition_contradicts_what_asks_for_no_more_than_it_forbids(one, other):
    pair = Condition("price", one), Condition("price", other, negate=True)
    met = any(all(meets(condition, {"price": number}) for condition in pair) for number in [*NUMBERS, -1.0, 9.0])
    found = contradiction(pair)
    assert found is None or not met
    # Two numbers that a range holds between them say no more than it does; nobody writes that by mistake.
    assert found is not None or met or (isinstance(one, Range) and isinstance(other, AnyNumber))


@pytest.mark.parametrize(
    ("asked", "forbidden", "contradict"),
    [
        (AnyOf(frozenset({"a"})), AnyOf(frozenset({"a", "b"})), True),
        (AnyOf(frozenset({"a", "b"})), AnyOf(frozenset({"a"})), False),
        (AnyOf(frozenset({"A"})), AnyOf(frozenset({"a"}), ignore_case=True), True),
        (AnyOf(frozenset({"A"}), ignore_case=True), AnyOf(frozenset({"A"})), False),
        (AnyOf(frozenset({"a"})), Exists(), True),
        (Exists(), AnyOf(frozenset({"a"})), False),
        (Exists(False), Exists(), False),
        (Equals(True), Equals(True), True),
        (Equals(True), Equals(False), False),
        (TimeRange((5, 0), (6, 0)), TimeRange(None, (6, 0)), True),
        (TimeRange((5, 0), None), TimeRange(None, (6, 0)), False),
    ],
)
def test_negated_texts_moments_and_truth_values(asked, forbidden, contradict):
    pair = [Condition("tags", forbidden, negate=True), Condition("tags", asked)]
    assert contradiction(pair) == ((0, 1) if contradict else None)
    assert contradiction([Condition("other", forbidden, negate=True), Condition("tags", asked)]) is None


def test_moments_and_truth_values():
    early, late = TimeRange(None, (10, 5)), TimeRange((10, 6), None)
    assert contradiction([Condition("t", early), Condition("u", late), Condition("t", late)]) == (0, 2)
    same = [Condition("t", early), Condition("t", TimeRange((10, 5), None))]
    assert contradiction(same) is None
    assert all(meets(condition, {"t": Timestamp("", 10, 5)}) for condition in same)
    assert contradiction([Condition("new", Equals(True)), Condition("new", Equals(False))]) == (0, 1)
    assert contradiction([Condition("new", Equals(True)), Condition("new", Equals(True))]) is None


def test_what_may_hold_together_is_left_alone():
    texts = [Condition("tags", AnyOf(frozenset({name}))) for name in "ab"]
    numbers = [
        Condition("price", AnyNumber(frozenset({1.0}))),
        Condition("price", AnyNumber(frozenset({2.0})), negate=True),
    ]
    assert contradiction([*texts, *numbers, Condition("price", Exists())]) is None
