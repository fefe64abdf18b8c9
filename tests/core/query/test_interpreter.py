"""Wishes in texts, over a small made-up catalogue of films and goods."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.query.interpreter import QueryInterpreter
from core.text.analysis import key
from domain.condition import AnyOf, Condition, Equals, Range
from domain.item import AttributeType

TYPES = {
    "genres": AttributeType.STRING_LIST,
    "cast": AttributeType.STRING_LIST,
    "keywords": AttributeType.STRING_LIST,
    "kind_zh": AttributeType.STRING,
    "year": AttributeType.NUMBER,
    "price": AttributeType.NUMBER,
    "rating": AttributeType.NUMBER,
    "runtime": AttributeType.NUMBER,
    "pet_safe": AttributeType.BOOLEAN,
}
STRINGS = {
    "genres": dict.fromkeys(("Comedy", "Horror", "War", "Sci-Fi", "Drama", "Thriller"), 5),
    "cast": {"Ada Merrow": 9, "Jon Pike": 8, **{f"Extra Person{n}": 1 for n in range(200)}},
    "keywords": {"time travel": 3, "lighthouse": 2, "zombie": 4, **{f"word{n}": 1 for n in range(200)}},
    "kind_zh": {"喜剧": 3, "恐怖片": 3},
}
NUMBERS = {
    "year": np.array([1931.0, 1994.0, 2016.0]),
    "price": np.array([3.0, 250.0, 900.0]),
    "rating": np.array([1.0, 3.0, 5.0]),
    "runtime": np.array([80.0, 90.0, 200.0]),
}
TITLES = {key(title) for title in ("2012", "No Harbour for Old Pike", "Horror", "Not Another War Film", "It")}


@pytest.fixture(scope="module")
def interpreter():
    return QueryInterpreter.of_values(TYPES, STRINGS, NUMBERS, lambda text: key(text) in TITLES)


def is_(attribute, *values):
    return Condition(attribute, AnyOf(frozenset(values)))


def not_(attribute, *values):
    return Condition(attribute, AnyOf(frozenset(values)), negate=True)


def within(attribute, low=None, high=None):
    return Condition(attribute, Range(low, high))


COMEDY, HORROR, NO_HORROR = is_("genres", "Comedy"), is_("genres", "Horror"), not_("genres", "Horror")
MERROW = is_("cast", "Ada Merrow")


@pytest.mark.parametrize(
    ("text", "wishes", "rest"),
    [
        ("a comedy from 1994", [COMEDY, within("year", 1994, 1994)], "comedy"),
        ("comedies", [COMEDY], "comedies"),
        ("scary horror film", [HORROR], "scary horror film"),
        ("sci-fi set on a ship", [is_("genres", "Sci-Fi")], "sci-fi set on a ship"),
        ("SCI FI", [is_("genres", "Sci-Fi")], "SCI FI"),
        ("by Ada Merrow", [MERROW], "by Ada Merrow"),
        ("ada merrow comedy", [MERROW, COMEDY], "ada merrow comedy"),
        ("starring jon pike", [is_("cast", "Jon Pike")], "starring jon pike"),
        ("a film with time travel", [is_("keywords", "time travel")], "a film with time travel"),
        ("the nineties", [within("year", 1990, 1999)], ""),
        ("90s comedy", [within("year", 1990, 1999), COMEDY], "comedy"),
        ("drama from the 1980s", [is_("genres", "Drama"), within("year", 1980, 1989)], "drama"),
        ("before 2000", [within("year", None, 1999)], ""),
        ("thrillers after 2010", [is_("genres", "Thriller"), within("year", 2011, None)], "thrillers"),
        ("since 2010", [within("year", 2010, None)], ""),
        ("between 1990 and 1995", [within("year", 1990, 1995)], ""),
        ("phone under 300 euros", [within("price", None, 300)], "phone"),
        ("phone under 300", [within("price", None, 300)], "phone"),
        ("a bag below $20", [within("price", None, 20)], "bag"),
        ("less than 20", [within("price", None, 20)], ""),
        ("cheaper than 1,000 euros", [within("price", None, 1000)], ""),
        ("20 to 30 euros", [within("price", 20, 30)], ""),
        ("between 200 and 500 euros", [within("price", 200, 500)], ""),
        ("over 4 stars", [within("rating", 4, None)], ""),
        ("rating over 4", [within("rating", 4, None)], ""),
        ("at least 4 stars", [within("rating", 4, None)], ""),
        ("runtime under 90", [within("runtime", None, 90)], ""),
        ("under 2000 euros", [within("price", None, 2000)], ""),
        ("pet safe plant", [Condition("pet_safe", Equals(True))], "pet safe plant"),
        ("not horror", [NO_HORROR], ""),
        ("a thriller, not horror", [is_("genres", "Thriller"), NO_HORROR], "thriller"),
        ("no horror", [NO_HORROR], ""),
        ("sci-fi but no horror", [is_("genres", "Sci-Fi"), NO_HORROR], "sci-fi"),
        ("except comedies", [not_("genres", "Comedy")], ""),
        ("I hate horror movies", [NO_HORROR], ""),
        ("I don't like horror or war", [NO_HORROR, not_("genres", "War")], ""),
        ("drama without zombies", [is_("genres", "Drama"), not_("keywords", "zombie")], "drama"),
        ("nothing with Ada Merrow", [not_("cast", "Ada Merrow")], ""),
        ("horror not horror", [HORROR, NO_HORROR], "horror"),
        ("before 1990 after 2000", [within("year", None, 1989), within("year", 2001, None)], ""),
        ("喜剧", [is_("kind_zh", "喜剧")], "喜剧"),
        ("1994年的喜剧", [within("year", 1994, 1994), is_("kind_zh", "喜剧")], "喜剧"),
        ("九十年代", [within("year", 1990, 1999)], ""),
        ("90年代的喜剧", [within("year", 1990, 1999), is_("kind_zh", "喜剧")], "喜剧"),
        ("300元以下的手机", [within("price", None, 300)], "手机"),
        ("低于300的手机", [within("price", None, 300)], "手机"),
        ("不超过20", [within("price", None, 20)], ""),
        ("不要恐怖片", [not_("kind_zh", "恐怖片")], ""),
        ("討厭恐怖片", [not_("kind_zh", "恐怖片")], ""),
    ],
)
def test_wishes(interpreter, text, wishes, rest):
    found = interpreter.interpret(text)
    assert [wish.condition for wish in found.wishes] == wishes
    assert found.search_text == rest
    assert all(wish.phrase in text for wish in found.wishes)


@pytest.mark.parametrize(
    ("text", "attribute", "descending", "rest"),
    [
        ("cheapest coffee", "price", False, "coffee"),
        ("the most expensive phone", "price", True, "phone"),
        ("newest thriller", "year", True, "thriller"),
        ("oldest", "year", False, ""),
        ("longest film", "runtime", True, ""),
        ("highest rated drama", "rating", True, "drama"),
        ("最便宜的手机", "price", False, "手机"),
        ("最新", "year", True, ""),
    ],
)
def test_orders(interpreter, text, attribute, descending, rest):
    found = interpreter.interpret(text)
    assert [(order.attribute, order.descending) for order in found.orders] == [(attribute, descending)]
    assert found.search_text == rest


@pytest.mark.parametrize(
    ("text", "terms", "rest"),
    [
        ("coffee without caffeine", ("caffeine",), "coffee"),
        ("soap, no perfume", ("perfume",), "soap"),
        ("I hate raisins", ("raisins",), ""),
        ("不含咖啡因的茶", ("咖啡因",), "茶"),
    ],
)
def test_negated_words_that_are_no_values(interpreter, text, terms, rest):
    found = interpreter.interpret(text)
    assert (found.excluded_terms, found.search_text) == (terms, rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "2012",
        "horror",
        "No Harbour for Old Pike",
        "not another war film",
        "it",
        "war games",
        "a war seen through the eyes of a child",
        "a ghost who does not know he is dead",
        "the man with no name",
        "not bad at all",
        "not only that",
        "a quiet film about the sea",
        "time travel to prevent a catastrophe",
        "lighthouse",
        "zombie walk",
        "7",
        "4E10",
        "!!! ???",
        "a story of 12 people",
        "x" * 8192,
        "word " * 300,
    ],
)
def test_nothing_is_understood_that_the_text_does_not_say(interpreter, text):
    found = interpreter.interpret(text)
    assert not found
    assert found.search_text == text


@given(st.text(alphabet=st.sampled_from(list("abc 0123456789,.-$不要年下a\u0301😀not horror without")), max_size=80))
def test_any_text_is_read(interpreter, text):
    found = interpreter.interpret(text)
    words = text.split()
    rest = iter(words)
    for word in found.search_text.split():
        assert any(word in other for other in rest) or word in text


def test_operators_are_words(interpreter):
    assert [wish.condition for wish in interpreter.interpret('genres:"comedy"*').wishes] in ([COMEDY], [])


def test_a_catalogue_without_attributes_understands_nothing():
    plain = QueryInterpreter.of_values({}, {}, {}, lambda text: False)
    assert not plain.interpret("cheapest comedy from 1994 under 30 euros")
