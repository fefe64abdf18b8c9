import os
import re
import subprocess
import sys

import pytest

from datafiles.items import read_items
from domain.item import Item
from tests.support.running import ROOT
from training.splits.partial_queries import PartialQueries

GENRES = ("Comedy", "Drama", "Thriller", "Western", "Crime")
PLOT = ["stranger", "harbour", "letter", "winter", "machine", "orchard"]
PLOT_WORDS = [f"plot{first}{second}" for first in "abcdefghijkl" for second in "abcdefghijkl"]


def _film(number):
    """Each genre is shared by two of five films, each actor by two, each plot word by eight."""
    words = " ".join(PLOT_WORDS[(7 * number + 13 * place) % len(PLOT_WORDS)] for place in range(6))
    attributes = {
        "year": 1950 + number % 60,
        "genres": (GENRES[number % 5], GENRES[(number + 1) % 5]),
        "cast": (f"Actor {number // 2}",),
        "title_raw": f"Film Number{number}",
        "status": ("seen", "unseen", "lost")[number % 3],
    }
    return Item(f"f{number}", f"Film Number{number}", f"The {words} of the unique{number}.", attributes=attributes)


@pytest.fixture(scope="module")
def films():
    return PartialQueries.of([_film(number) for number in range(200)])


def test_the_forms_are_values_with_the_decade_a_name_and_words_of_the_text(films):
    queries = [films.query(row, 42) for row in range(200)]
    values = [
        query for query in queries if re.fullmatch(rf"({'|'.join(GENRES)}) ({'|'.join(GENRES)}) \d{{3}}0s", query)
    ]
    names = [query for query in queries if re.fullmatch(r"Actor \d+", query)]
    words = [query for query in queries if set(query.split()) <= set(PLOT_WORDS) and 3 <= len(query.split()) <= 5]
    assert len(values) + len(names) + len(words) == 200
    assert min(len(values), len(names), len(words)) > 40


def test_a_query_describes_its_item(films):
    for row, item in enumerate(films.items):
        decade = f"{item.attributes['year'] // 10 * 10}s"
        said = f"{item.text} {' '.join(item.attributes['genres'])} {item.attributes['cast'][0]} {decade}"
        assert set(films.query(row, 7).split()) <= set(re.findall(r"\w+", said))


def test_seed_item_and_case_alone_decide(films):
    again = PartialQueries.of(films.items)
    assert [films.query(row, 42, "u1") for row in range(200)] == [again.query(row, 42, "u1") for row in range(200)]
    assert len({films.query(3, 42, f"u{user}") for user in range(50)}) > 5
    assert len({films.query(3, seed, "u1") for seed in range(50)}) > 5


def test_another_process_makes_the_same_queries():
    program = (
        "from pathlib import Path; from datafiles.items import read_items; "
        "from training.splits.partial_queries import PartialQueries; "
        "queries = PartialQueries.of(read_items(Path('sample/items.jsonl')).items); "
        "print([queries.query(row, 42) for row in range(100)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1 and "Tarnbury Roasters" in outputs.pop()


@pytest.mark.parametrize("seed", range(5))
def test_no_query_of_the_sample_holds_its_title(seed):
    queries = PartialQueries.of(read_items(ROOT / "sample" / "items.jsonl").items)
    for row, item in enumerate(queries.items):
        query, title = (set(re.findall(r"[^\W_]+", text.casefold())) for text in (queries.query(row, seed), item.title))
        assert query and not query <= title and not title <= query, item.title


def test_words_of_the_title_are_not_drawn_from_the_text():
    items = [Item(f"i{number}", "Harbour Winter", " ".join(PLOT)) for number in range(3)]
    said = {word for seed in range(40) for word in PartialQueries.of(items).query(0, seed).split()}
    assert said == set(PLOT) - {"harbour", "winter"}


def test_a_value_that_is_the_title_is_not_said():
    items = [Item(f"i{number}", "Western", "", attributes={"genres": ("Western", "Drama")}) for number in range(4)]
    items += [Item(f"j{number}", "Other", "", attributes={"genres": ("Comedy",)}) for number in range(6)]
    items = [Item(i.id, i.title, i.text, attributes={**i.attributes, "year": 1994}) for i in items]
    assert {PartialQueries.of(items).query(0, seed) for seed in range(20)} == {"Drama 1990s"}


def test_an_item_with_a_title_alone_gives_some_of_its_words():
    items = [Item("a", "RED RETROSPOT BAG OF 3", ""), Item("b", "DOGGY RUBBER", ""), Item("c", "POSTAGE", "")]
    queries = PartialQueries.of(items)
    for seed in range(20):
        words = queries.query(0, seed).split()
        assert len(words) == 2 and set(words) < {"red", "retrospot", "bag"}
        assert queries.query(1, seed) in ("doggy", "rubber")
        assert queries.query(2, seed) == ""


def test_a_chinese_text_gives_characters_that_stand_together():
    text = "灯塔看守人收到一封来自大海的信。他决定出发寻找寄信的女孩。"
    queries = PartialQueries.of([Item("a", "海边来信", text), Item("b", "别的", text)])
    for seed in range(20):
        query = queries.query(0, seed)
        assert 4 <= len(query) <= 8 and query in text


def test_prices_are_no_years():
    items = [Item(f"i{n}", f"Thing{n}", "", attributes={"price": 1900.0 + n / 2, "tags": ("a",)}) for n in range(9)]
    assert PartialQueries.of(items).year_attribute == ""
