"""Fields of items that a text matched: whole words only, as the item writes them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.retrieval.field_matches import FieldMatcher
from domain.item import Item
from domain.recommendation import FieldMatch
from tests.support.words import lexical_index

ITEMS = [
    Item(
        "f1",
        "The Quiet Harbour",
        "A keeper of a lighthouse. Ada, alone.",
        attributes={"cast": ("Ada Merrow", "Jon Pike"), "genres": ("Drama",), "link": "https://x.example/lighthouse"},
    ),
    Item("f2", "WarGames", "Boys and a computer, cryptically.", attributes={"title_zh": "戰爭遊戲"}),
    Item("f3", "Spider-Man", "A spider bites a man.", attributes={"tags": ("spider",)}),
    Item("f4", "上海故事", "一部关于上海的电影。", attributes={"genre": "剧情"}),
    Item("f5", "大海", "玩具總動員 关于大海。"),
    Item("f6", "Café Blue", "Two Winds, too."),
    Item("f7", "It", "A clown."),
    Item("f8", "山 海", "价格公道。"),
    Item("f9", "iPhone13 case", "हरी चाय"),
    Item("f10", "300", "x", attributes={"title_raw": "300 (2001)", "tmdb_id": "300", "imdbId": "tt2001"}),
    Item("f12", "The Lord of the Kites: Two Winds", "x", attributes={"title_raw": "The Lord of the Kites (2001)"}),
    Item("f13", "Lotk and Others of the Kind", "x"),
    Item("f11", "Pike Road", "x", attributes={"title_raw": "Pike Road (2001)", "tmdb_id": "300"}),
]


@pytest.fixture(scope="module")
def index():
    return lexical_index(ITEMS)


def shared(index, text, item_id):
    (item,) = (item for item in ITEMS if item.id == item_id)
    return FieldMatcher(index.parse(text)).shared_with(item)


@pytest.mark.parametrize(
    ("text", "item_id", "fields"),
    [
        ("films with ada merrow", "f1", [FieldMatch("cast", "Ada Merrow", True)]),
        ("jon pike, ada merrow", "f1", [FieldMatch("cast", name, True) for name in ("Ada Merrow", "Jon Pike")]),
        ("a merrow drama", "f1", [FieldMatch("genres", "Drama", True), FieldMatch("cast", "Merrow")]),
        ("the quiet harbour", "f1", [FieldMatch("title", "The Quiet Harbour", True)]),
        ("quiet harbours", "f1", [FieldMatch("title", "Quiet Harbour")]),
        ("harbour lighthouses", "f1", [FieldMatch("title", "Harbour"), FieldMatch("text", "lighthouse")]),
        ("war games", "f2", [FieldMatch("title", "WarGames", True)]),
        ("战争游戏", "f2", [FieldMatch("title_zh", "戰爭遊戲", True)]),
        ("computer game", "f2", [FieldMatch("text", "computer")]),
        ("spider-man", "f3", [FieldMatch("title", "Spider-Man", True), FieldMatch("tags", "spider", True)]),
        ("上海的电影", "f4", [FieldMatch("title", "上海"), FieldMatch("text", "上海的电影")]),
        ("iphone 13", "f9", [FieldMatch("title", "iPhone13")]),
        ("iphone13", "f9", [FieldMatch("title", "iPhone13")]),
        ("चाय", "f9", [FieldMatch("text", "चाय")]),
        ("剧情", "f4", [FieldMatch("genre", "剧情", True)]),
        ("大海", "f5", [FieldMatch("title", "大海", True)]),
        ("玩具总动员", "f5", [FieldMatch("text", "玩具總動員")]),
        ("cafe", "f6", [FieldMatch("title", "Café")]),
        ("价格实惠的手机", "f8", [FieldMatch("text", "价格")]),
        ("海", "f8", [FieldMatch("title", "海")]),
        ("it", "f7", [FieldMatch("title", "It", True)]),
        ("300", "f10", [FieldMatch("title", "300", True)]),
        ("pike road 2001", "f11", [FieldMatch("title", "Pike Road", True)]),
        ("pike 2001", "f11", [FieldMatch("title", "Pike")]),
    ],
)  # fmt: skip
def test_fields(index, text, item_id, fields):
    assert list(shared(index, text, item_id).fields) == fields


@pytest.mark.parametrize(
    ("text", "item_id"),
    [
        ("海", "f4"),  # of another word
        ("海", "f5"),
        ("大海", "f8"),  # of a word of the text
        ("the kettle of a", "f3"),
        ("crypt", "f2"),
        ("the harbour of it", "f7"),
        ("kettle", "f1"),
        ("300 2001 tt2001", "f11"),
        ("2001 tt2001", "f10"),
        ("", "f1"),
        ("!!!", "f1"),
    ],
)
def test_no_half_word_and_no_article_is_shown(index, text, item_id):
    assert shared(index, text, item_id).fields == ()
    assert shared(index, text, item_id).terms == ()


def test_terms_are_those_of_the_text_in_its_order(index):
    assert shared(index, "a lighthouse in a quiet harbour", "f1").terms == ("lighthouse", "quiet", "harbour")
    assert shared(index, "lighthouses", "f1").terms == ("lighthouse",)


@pytest.mark.parametrize(
    ("text", "item_id", "found"),
    [
        ("lotk", "f12", "lotk"),
        ("LOTK two winds", "f12", "lotk"),
        ("two winds", "f12", ""),
        ("lotk", "f13", ""),
        ("lotk", "f1", ""),
        ("lot", "f12", ""),
    ],
)
def test_initials_of_a_title(index, text, item_id, found):
    assert shared(index, text, item_id).initials == found


@given(
    st.text(alphabet="ab 海大电影é's-()*{}☕コー", max_size=30), st.text(alphabet="ab 海大电影é's-☕コー", max_size=30)
)
@settings(max_examples=200, deadline=None)
def test_what_is_shown_stands_in_the_item(index, text, title):
    item = Item("x", title, "")
    for match in FieldMatcher(index.parse(text)).shared_with(item).fields:
        assert all(span in title for span in match.value.split(", "))
