"""A shortlist on terminals of several widths: ids whole, the score where it orders, no letters one below another."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from cli.terminal.columns import Column, fitting, table_of
from shortlist.v1 import recommender_pb2 as pb
from tests.support.fakes import FakeGateway
from tests.support.running import on_terminal

IDS = ("goods-coffee-beans-house", "goods-coffee-cinnamon-decaf", "goods-coffee-caramel-vanilla")
TITLES = ("House Blend Coffee Beans, 500 g", "Cinnamon Decaf Coffee", "Caramel Vanilla Coffee Capsules, 20 pcs")
SCORES = ((1.0285, 0.574), (1.0142, 0.525), (0.9824, 0.527))
FIELDS = "title,price,category,available,subcategory"


def reply() -> pb.RecommendResponse:
    items = [
        {
            "id": item_id,
            "rank": rank,
            "score": score,
            "similarity": similarity,
            "relevance": 0.99,
            "provenance": [{"source": "RECALL_SOURCE_SEMANTIC_TEXT", "rank": rank, "score": similarity}],
            "explanation": {"text": f"Reason {rank}."},
            "item": {
                "id": item_id,
                "title": title,
                "available": True,
                "attributes": {
                    "price": {"number_value": 14.5},
                    "category": {"string_value": "goods"},
                    "subcategory": {"string_value": "coffee"},
                },
            },
        }
        for rank, (item_id, title, (score, similarity)) in enumerate(zip(IDS, TITLES, SCORES, strict=True), 1)
    ]
    return pb.RecommendResponse(items=items, release_id="r")


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        fake.reply = reply()
        yield fake


def shown(fake: FakeGateway, columns: int, *words: str) -> list[str]:
    text, status = on_terminal("recommend", "coffee", *words, "--address", fake.address, columns=columns)
    assert status == 0, text
    return [line.rstrip() for line in text.splitlines()]


def test_the_score_is_shown_where_it_orders_the_list(fake: FakeGateway) -> None:
    head, *lines = shown(fake, 120)
    assert head.split() == ["rank", "title", "score", "similarity", "relevance", "source", "id"]
    assert "  1.028       0.574        99%  semantic_text #1  goods-coffee-beans-house" in lines[0]
    fake.reply.items[2].score = 2.0  # pinned to the end
    assert shown(fake, 120)[0].split() == ["rank", "title", "similarity", "relevance", "source", "id"]


def test_the_least_important_columns_are_left_out_before_an_id_is_cut(fake: FakeGateway) -> None:
    head, *lines = shown(fake, 80)
    assert head.split() == ["rank", "title", "score", "relevance", "id"]
    assert [line.split()[-1] for line in lines if line[:6].strip().isdigit()][:3] == list(IDS)
    assert "no room for: similarity, source (a wider terminal shows it)" in lines
    assert max(map(len, (head, *lines))) <= 80


def test_what_is_wider_than_the_rest_needs_comes_back() -> None:
    columns = [Column("a", ["x" * 10], spare=1), Column("b", ["x" * 40], spare=2), Column("id", ["x" * 20])]
    assert [column.name for column in fitting(columns, 75) or ()] == ["a", "b", "id"]
    assert [column.name for column in fitting(columns, 73) or ()] == ["b", "id"]
    assert [column.name for column in fitting(columns, 40) or ()] == ["a", "id"]
    assert [column.name for column in fitting(columns, 20) or ()] == ["id"]
    assert fitting(columns, 19) is None


@pytest.mark.parametrize("columns", [60, 80])
def test_more_fields_than_fit_are_a_block_for_each_item(fake: FakeGateway, columns: int) -> None:
    lines = shown(fake, columns, "--fields", FIELDS)
    assert lines[:11] == [
        "   1  House Blend Coffee Beans, 500 g",
        "      id           goods-coffee-beans-house",
        "      price        14.5",
        "      category     goods",
        "      available    yes",
        "      subcategory  coffee",
        "      score        1.028",
        "      similarity   0.574",
        "      relevance    99%",
        "      source       semantic_text #1",
        "      why          Reason 1.",
    ]
    assert lines[11] == "   2  Cinnamon Decaf Coffee"


def test_nothing_but_the_id_is_asked_for_on_a_narrow_terminal(fake: FakeGateway) -> None:
    for item in fake.reply.items:
        item.ClearField("item")
        item.id = f"a-rather-long-id-of-a-shop-that-has-many-items-{item.rank}"
    lines = shown(fake, 50, "--fields", "id")
    assert lines[0] == "   1  a-rather-long-id-of-a-shop-that-has-many-items-1"
    assert lines[1] == "      score       1.028"


def test_an_id_longer_than_a_line_stays_one_word(fake: FakeGateway) -> None:
    fake.reply.items[0].id = "x" * 130
    fake.reply.next_page_token = "t" * 130
    lines = shown(fake, 60)
    assert f"      id          {'x' * 130}" in lines
    assert any("t" * 130 in line for line in lines)


def test_words_of_a_field_are_not_split(fake: FakeGateway) -> None:
    link = "https://shop.example/images/goods-coffee-beans-house.jpg"
    for item in fake.reply.items:
        item.item.attributes["price"].string_value = f"see {link} for more of it, and what it costs"
    lines = shown(fake, 70, "--fields", "price")
    beside = " " * 18
    assert lines[2:5] == ["      price       see", f"{beside}{link}", f"{beside}for more of it, and what it costs"]


def test_nothing_in_a_cell_is_markup_or_an_emoji() -> None:
    console = Console(file=io.StringIO(), width=40, color_system=None)
    console.print(table_of([Column("[b]", ["[/b] :cat:"])], 40))
    assert console.file.getvalue().split() == ["[b]", "[/b]", ":cat:"]
