"""The interpreter against a table of texts, on made-up catalogues."""

import time
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.query.interpreter import QueryInterpreter
from core.query.words import query_words
from domain.catalogue_values import CatalogueValues, NumberRange
from domain.condition import AnyOf, Condition, Equals, Range
from domain.interpretation import Interpretation, NumberOrder, Wish
from domain.item import AttributeType
from tests.core.query.catalogues import FILMS, interpreters

TABLE = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))
CASES = [
    pytest.param(name, *(part.strip() for part in line.split("|")), id=f"{name}: {line.split('|')[0].strip()}")
    for name, lines in TABLE.items()
    for line in lines.strip().splitlines()
]
BY_NAME = interpreters()
PIECES = sorted(query_words().cues) + sorted(
    {
        "tom hanks",
        "horror",
        "喜剧",
        "1994",
        "300",
        "$",
        "90s",
        "三百",
        "clown",
        "pet safe",
        "zebra",
        ",",
        "(",
        "-",
        "~",
        "*",
    }
)


@pytest.mark.parametrize(("catalogue", "text", "understood", "search_text"), CASES)
def test_a_text_is_understood_as_the_table_says(catalogue, text, understood, search_text):
    found = BY_NAME[catalogue].interpret(text)
    assert sorted(_written(found)) == sorted(part.strip() for part in understood.split(";") if part.strip())
    assert found.search_text == (text if search_text == "=" else search_text)


def test_wishes_stand_in_the_order_of_the_text_with_their_words_as_written():
    found = BY_NAME["films"].interpret("Newest COMEDY from the Nineties, starring Tom  Hanks but not Horror or war")
    assert found == Interpretation(
        wishes=(
            Wish(_any_of("genres", "Comedy"), "COMEDY"),
            Wish(Condition("year", Range(1990, 1999)), "from the Nineties"),
            Wish(_any_of("cast", "Tom Hanks"), "starring Tom  Hanks"),
            Wish(_any_of("genres", "Horror", negate=True), "but not Horror or war"),
            Wish(_any_of("genres", "War", negate=True), "but not Horror or war"),
        ),
        orders=(NumberOrder("year", True, "Newest"),),
        search_text="COMEDY Tom  Hanks",
    )


def test_what_stands_twice_is_understood_once():
    found = BY_NAME["films"].interpret("horror horror, cheap horror no gore, no gore, newest newest films")
    assert [wish.phrase for wish in found.wishes] == ["horror"]
    assert found.excluded_terms == ("gore",)
    assert len(found.orders) == 1


def test_a_cue_chooses_among_attributes_and_without_one_the_others_are_alternatives():
    types = {"director": AttributeType.STRING_LIST, "cast": AttributeType.STRING_LIST}
    counts = {"director": {"Ida Fenn": 3}, "cast": {"Ida Fenn": 8, "Ida FENN": 1}}
    interpreter = QueryInterpreter.of_values(CatalogueValues(types, counts, {}))
    directs, plays = _any_of("director", "Ida Fenn"), _any_of("cast", "Ida Fenn", "Ida FENN")
    assert interpreter.interpret("ida fenn").wishes == (Wish(plays, "ida fenn", (directs,)),)
    assert interpreter.interpret("directed by ida fenn").wishes == (Wish(directs, "directed by ida fenn"),)
    assert interpreter.interpret("with ida fenn").wishes == (Wish(plays, "with ida fenn"),)
    negated = {wish.condition for wish in interpreter.interpret("not ida fenn").wishes}
    assert negated == {replace(directs, negate=True), replace(plays, negate=True)}


def test_titles_decide_between_a_wish_and_a_name():
    untitled = QueryInterpreter.of_values(replace(FILMS, titles=()))
    for text in ("send me no flowers", "comedy of errors", "rocky horror", "horror"):
        assert BY_NAME["films"].interpret(text) == Interpretation(search_text=text)
        assert untitled.interpret(text) != Interpretation(search_text=text)


@pytest.mark.parametrize("attribute", ["year", "release_year", "releaseYear", "jahr", "出品年份"])
def test_years_are_known_by_name_or_by_values(attribute):
    years = CatalogueValues({attribute: AttributeType.NUMBER}, {}, {attribute: NumberRange(1950, 2020, True)})
    wishes = QueryInterpreter.of_values(years).interpret("stories before 2000").wishes
    assert [wish.condition for wish in wishes] == [Condition(attribute, Range(None, 1999))]


@pytest.mark.parametrize(
    ("attribute", "extent"),
    [
        ("year", NumberRange(1, 80, True)),
        ("price", NumberRange(1900, 2000, True)),
        ("score", NumberRange(1900, 2000, True)),
        ("x", NumberRange(1900, 2000, False)),
        ("tmdb_id", NumberRange(1900, 2000, True)),
    ],
)
def test_other_numbers_are_no_years(attribute, extent):
    numbers = CatalogueValues({attribute: AttributeType.NUMBER}, {}, {attribute: extent})
    assert QueryInterpreter.of_values(numbers).interpret("before 1980").wishes == ()


def test_money_of_whole_numbers_ends_below_the_bound_by_one():
    values = CatalogueValues({"cost": AttributeType.NUMBER}, {}, {"cost": NumberRange(1, 900, True)})
    (wish,) = QueryInterpreter.of_values(values).interpret("under 300 dollars").wishes
    assert wish.condition == Condition("cost", Range(None, 299))


def test_a_catalogue_without_attributes_has_nothing_to_understand_but_exclusions():
    interpreter = QueryInterpreter.of_values(CatalogueValues({}, {}, {}))
    for text in ("a horror film from 1994 under 300 euros", "cheapest", "", "   ", "!?"):
        assert interpreter.interpret(text) == Interpretation(search_text=text)
    assert interpreter.interpret("tea without sugar") == Interpretation(excluded_terms=("sugar",), search_text="tea")


@given(
    st.lists(st.sampled_from(PIECES), max_size=12), st.sampled_from(sorted(BY_NAME)), st.sampled_from((" ", "", ", "))
)
@settings(max_examples=400, deadline=None)
def test_any_mixture_of_cues_is_read_and_leaves_some_of_its_words(pieces, catalogue, joint):
    _holds(BY_NAME[catalogue], joint.join(pieces))


@given(st.text(max_size=60), st.sampled_from(sorted(BY_NAME)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_and_leaves_some_of_its_words(text, catalogue):
    _holds(BY_NAME[catalogue], text)


def _holds(interpreter: QueryInterpreter, text: str) -> None:
    found = interpreter.interpret(text)
    rest = iter(text)
    # The characters left are a subsequence of the text's; a space may stand where something is left out.
    assert all(character in rest for character in found.search_text if not character.isspace())
    assert all(wish.phrase in text and wish.phrase for wish in found.wishes)
    assert all(order.phrase in text for order in found.orders)
    if not (found.wishes or found.orders or found.excluded_terms):
        assert found.search_text == text
    low_high = [wish.condition.test for wish in found.wishes if isinstance(wish.condition.test, Range)]
    assert all(test.minimum is None or test.maximum is None or test.minimum <= test.maximum for test in low_high)


@given(st.lists(st.sampled_from(("zebra", "quilt", "lantern", "窗", "marble", "oboe", "жук")), max_size=20))
def test_nothing_is_understood_where_nothing_is_said(words):
    text = " ".join(words)
    assert BY_NAME["films"].interpret(text) == Interpretation(search_text=text)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a ",
        "not ",
        "no horror ",
        "zebra without gore ",
        "1994 ",
        "大海",
        "horror ",
        "under 300 ",
        "1",
        "1,1",
        "no a ",
        "九",
        "$",
        "tom hanks ",
        "between 1 and ",
    ],
)
def test_eight_kibibytes_of_one_thing_take_time_in_proportion(piece):
    interpreter = BY_NAME["films"]
    short, long = (piece * (size // len(piece.encode())) for size in (2_048, 8_192))
    seconds = [min(_seconds(interpreter, text) for _ in range(3)) for text in (short, long)]
    # Four times the text: a quadratic part would take sixteen times as long.
    assert seconds[1] < max(9 * seconds[0], 0.01)
    assert seconds[1] < 0.5


def test_traditional_characters_are_simplified_ones():
    assert BY_NAME["chinese"].interpret("喜劇").wishes[0].condition == _any_of("类型", "喜剧")


def _seconds(interpreter: QueryInterpreter, text: str) -> float:
    start = time.thread_time()  # whatever else the machine does
    interpreter.interpret(text)
    return time.thread_time() - start


@pytest.mark.parametrize(
    "text", ["release date at least 12000", "release date at most 9999", "release date between 0 and 999999"]
)
def test_a_number_that_is_not_a_year_is_not_a_wish_for_a_time(text):
    values = CatalogueValues(
        types={"release_date": AttributeType.TIMESTAMP},
        counts={},
        ranges={"release_date": NumberRange(0, 1.7e9, True)},
        titles=(),
    )
    assert _written(QueryInterpreter.of_values(values).interpret(text)) == []


def test_a_word_of_every_day_is_not_the_singular_of_a_value():
    values = CatalogueValues(
        types={"category": AttributeType.STRING}, counts={"category": {"goods": 20, "films": 20}}, ranges={}, titles=()
    )
    interpreter = QueryInterpreter.of_values(values)
    assert _written(interpreter.interpret("good quality at a fair price")) == []
    assert _written(interpreter.interpret("a film about the sea")) == ["category=films"]
    assert _written(interpreter.interpret("cheap goods")) == ["category=goods"]


def _any_of(attribute: str, *values: str, negate: bool = False) -> Condition:
    return Condition(attribute, AnyOf(frozenset(values)), negate)


def _written(found: Interpretation) -> list[str]:
    """Writes an interpretation as the table does."""
    wishes = [
        _condition(wish.condition) + "".join(f"~{other.attribute}" for other in wish.alternatives)
        for wish in found.wishes
    ]
    orders = [f"{order.attribute} -> {'down' if order.descending else 'up'}" for order in found.orders]
    return [*wishes, *orders, *(f"-{term}" for term in found.excluded_terms)]


def _condition(condition: Condition) -> str:
    test, sign = condition.test, "!" if condition.negate else ""
    if isinstance(test, AnyOf):
        return f"{sign}{condition.attribute}={','.join(sorted(test.values))}"
    if isinstance(test, Equals):
        return f"{sign}{condition.attribute}={test.value}"
    if isinstance(test, Range):
        return f"{sign}{condition.attribute} {_end(test.minimum)}..{_end(test.maximum)}"
    years = [None if end is None else datetime.fromtimestamp(end[0], UTC).year for end in (test.minimum, test.maximum)]
    return f"{sign}{condition.attribute} time {_end(years[0])}..{_end(years[1])}"


def _end(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
