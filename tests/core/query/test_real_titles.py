"""No title of a real catalogue, and no search for one, is taken for a wish."""

import json
from pathlib import Path

import pytest

from core.query.interpreter import QueryInterpreter
from domain.catalogue_values import CatalogueValues
from domain.interpretation import Interpretation
from domain.item import AttributeType
from server.catalogue.item_table import ItemTable

_FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "movielens-small"
pytestmark = pytest.mark.skipif(not _FOLDER.is_dir(), reason="needs ../shared/data/movielens-small")
_TYPES = {
    "year": AttributeType.NUMBER,
    "genres": AttributeType.STRING_LIST,
    "title_raw": AttributeType.STRING,
    "title_zh": AttributeType.STRING,
    "text_status": AttributeType.STRING,
    "tmdb_id": AttributeType.STRING,
    "director": AttributeType.STRING_LIST,
    "cast": AttributeType.STRING_LIST,
    "keywords": AttributeType.STRING_LIST,
}


@pytest.fixture(scope="module")
def values() -> CatalogueValues:
    return ItemTable(_FOLDER / "items.jsonl", _TYPES).values()


@pytest.fixture(scope="module")
def interpreter(values) -> QueryInterpreter:
    return QueryInterpreter.of_values(values)


def test_no_title_is_changed(values, interpreter):
    assert [title for title in values.titles if interpreter.interpret(title) != Interpretation(search_text=title)] == []


def test_without_the_titles_few_are_taken_for_numbers_or_negations(values):
    untitled = QueryInterpreter.of_values(CatalogueValues(values.types, values.counts, values.ranges))
    found = [untitled.interpret(title) for title in values.titles]
    assert sum(_more_than_values(one) for one in found) <= 15
    assert sum(bool(one.wishes) for one in found) <= 350


def test_searches_for_titles_are_left_alone(interpreter):
    lines = (_FOLDER / "search-queries.tsv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [line.split("\t")[1] for line in lines]
    assert [text for text in texts if interpreter.interpret(text) != Interpretation(search_text=text)] == []


def test_stories_are_no_numbers_and_no_negations(interpreter):
    texts = (Path(__file__).resolve().parents[3] / "bench" / "queries.txt").read_text(encoding="utf-8").splitlines()
    assert [text for text in texts if _more_than_values(interpreter.interpret(text))] == []


def test_sentences_that_tell_a_story_are_hardly_ever_negations(interpreter):
    with (_FOLDER / "items.jsonl").open(encoding="utf-8") as stream:
        sentences = [sentence for line in stream for sentence in (json.loads(line).get("text") or "").split(". ")]
    found = [interpreter.interpret(sentence) for sentence in sentences[:10_000]]
    assert sum(bool(one.excluded_terms) or any(w.condition.negate for w in one.wishes) for one in found) <= 60


def _more_than_values(found: Interpretation) -> bool:
    wishes = [wish for wish in found.wishes if wish.condition.negate or wish.condition.attribute == "year"]
    return bool(wishes or found.orders or found.excluded_terms)
