"""The rows that a request may return."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.query.interpreter import QueryInterpreter
from core.retrieval.lexical import LexicalSource
from core.retrieval.source import RecallSources
from core.scaling import Population
from domain.catalogue_values import CatalogueValues, NumberRange
from domain.condition import AnyOf, Condition, Range
from domain.interpretation import TextInterpretation
from domain.item import AttributeType, Item
from domain.recommendation import RecommendQuery
from server.stages.history import History
from server.stages.scope import scope_of
from server.stages.understand import understand
from tests.support.dict_catalogue import DictCatalogue
from tests.support.words import lexical_index

ITEMS = [
    Item("cola", "Cola with caffeine", "", attributes={"kind": "soda", "price": 2.0}),
    Item("lemon", "Lemonade", "", attributes={"kind": "soda", "price": 3.0}),
    Item("mint", "Mint tea without caffeine", "", attributes={"kind": "tea", "price": 4.0}),
    Item("black", "Black tea", "Rich in caffeine.", attributes={"kind": "tea", "price": 5.0}),
]
TYPES = {"kind": AttributeType.STRING, "price": AttributeType.NUMBER}
VALUES = CatalogueValues(TYPES, {"kind": {"soda": 2, "tea": 2}}, {"price": NumberRange(2, 5, True)})
NOBODY = History((), (), (), "", "", ())
SODA = Condition("kind", AnyOf(frozenset({"soda"})))


class AskedCatalogue(DictCatalogue):
    """Notes the conditions that it was asked."""

    def __init__(self):
        super().__init__({item.id: (item, np.ones(2, np.float32)) for item in ITEMS}, TYPES)
        self.asked = []

    def blocked_by(self, conditions):
        self.asked.extend(conditions)
        return super().blocked_by(conditions)


@pytest.fixture
def release():
    sources = RecallSources((LexicalSource(lexical_index(ITEMS)),), Population.of(np.ones(len(ITEMS), bool)))
    return SimpleNamespace(catalogue=AskedCatalogue(), sources=sources, interpreter=QueryInterpreter.of_values(VALUES))


def passes(release, **query):
    """The ids that each pass may return."""
    asked = RecommendQuery(**query)
    scope = scope_of(asked, understand(asked, release.interpreter), NOBODY, release)
    return [[ITEMS[row].id for row in np.flatnonzero(~blocked)] for blocked in scope.passes]


def test_an_excluded_word_comes_last(release):
    assert passes(release, text="drink without caffeine") == [
        ["lemon", "mint"],
        ["cola", "lemon", "mint", "black"],
    ]


def test_enforced_it_is_left_out(release):
    enforce = TextInterpretation.ENFORCE
    assert passes(release, text="drink without caffeine", interpretation=enforce) == [["lemon", "mint"]]
    assert passes(release, text="soda without caffeine", interpretation=enforce) == [["lemon"]]


def test_switched_off_it_is_a_word_like_others(release):
    assert len(passes(release, text="drink without caffeine", interpretation=TextInterpretation.OFF)) == 1


def test_each_wish_is_compared_with_the_catalogue_once(release):
    cheap = Condition("price", Range(None, 3.0))
    assert passes(release, text="tea", preferences=(SODA, cheap))[0] == ["cola", "lemon"]
    assert release.catalogue.asked.count(SODA) == 1
    assert release.catalogue.asked.count(cheap) == 1


def test_more_wishes_than_a_byte_counts(release):
    """What fails 128 comes after what fails 127."""
    never = tuple(Condition("price", Range(number, number)) for number in range(100, 227))
    assert passes(release, text="", preferences=(*never, SODA))[0] == ["cola", "lemon"]
