import json
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from datafiles.items import read_items
from domain.event import EventKind
from domain.item import AttributeType
from domain.text import language_of

SAMPLE = Path(__file__).resolve().parents[1] / "sample"
CATEGORIES = {"goods", "films", "series", "music", "news", "courses", "topics"}
ASPECTS = {
    "quality", "price", "service", "delivery", "design", "comfort", "sound", "story", "acting", "teaching", "depth"
}  # fmt: skip
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def catalogue():
    return read_items(SAMPLE / "items.jsonl")


@pytest.fixture(scope="module")
def items(catalogue):
    return {item.id: item for item in catalogue.items}


def rows(name):
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


def test_at_least_250_items_over_every_category(items):
    assert len(items) >= 250
    counts = Counter(item.attributes["category"] for item in items.values())
    assert set(counts) == CATEGORIES
    assert min(counts.values()) >= 10
    assert any(not item.available for item in items.values())


def test_items_have_titles_and_texts_of_their_own_in_english_and_chinese(items):
    chinese_only = {"goods-zh-only-a", "goods-zh-only-b"}
    for item in items.values():
        if item.id not in chinese_only:
            assert language_of(item.title) == language_of(item.text) == "en", item.id
            assert len(item.text) >= 80, item.id
            assert CHINESE.search(item.attributes["title_zh"]), item.id
            assert CHINESE.search(item.attributes["text_zh"]), item.id
    for texts in ([item.title for item in items.values()], [item.text for item in items.values()]):
        assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_attributes_have_the_types_that_pages_and_filters_need(catalogue, items):
    types = catalogue.attribute_types
    assert types["tags"] is AttributeType.STRING_LIST
    assert types["price"] is types["year"] is AttributeType.NUMBER
    for item in items.values():
        assert item.attributes["link"].startswith("https://"), item.id
        assert item.attributes["image"].startswith("https://"), item.id


def test_60_users_with_events_on_items_that_exist(items):
    users = rows("users.jsonl")
    assert len(users) == len({user["id"] for user in users}) == 60
    for user in users:
        assert user["profile"].strip(), user["id"]
        assert user["events"], user["id"]
        times = [datetime.fromisoformat(event["time"]) for event in user["events"]]
        assert times == sorted(times), user["id"]
        for event in user["events"]:
            assert event["item_id"] in items, (user["id"], event)
            assert event["kind"] in set(EventKind), (user["id"], event)
            assert (event["kind"] == "comment") == bool(event.get("text")), (user["id"], event)
    assert {event["kind"] for user in users for event in user["events"]} == set(EventKind)
    assert {user["language"] for user in users} == {"en", "zh"}


def test_150_reviews_labelled_by_aspect_and_polarity(items):
    reviews = rows("reviews.jsonl")
    assert len(reviews) == 150
    assert len({review["id"] for review in reviews}) == len({review["text"] for review in reviews}) == 150
    polarities = Counter()
    for review in reviews:
        assert review["item_id"] in items, review["id"]
        assert language_of(review["text"]) == review["language"], review["id"]
        names = [label["aspect"] for label in review["aspects"]]
        assert names, review["id"]
        assert len(set(names)) == len(names), review["id"]
        assert set(names) <= ASPECTS, review["id"]
        polarities.update((review["language"], label["polarity"]) for label in review["aspects"])
    assert set(polarities) == {(one, two) for one in ("en", "zh") for two in ("positive", "negative", "neutral")}
    # Negations are what a rule by single words gets wrong.
    assert any("not bad" in review["text"].lower() for review in reviews)


def test_t1_two_goods_say_the_wish_in_english_and_chinese(items):
    for item_id, english, chinese in (
        ("goods-linen-shirt", ("fine materials", "fair price", "good quality"), ("质量", "价格")),
        ("goods-canvas-sneakers", ("comfort", "affordable"), ("舒适", "价格")),
    ):
        assert all(word in items[item_id].text.lower() for word in english)
        assert all(word in items[item_id].attributes["text_zh"] for word in chinese)
        assert items[item_id].available


def test_t4_three_phones_and_a_user_who_bought_viewed_and_favourited_them(items):
    phones = [f"goods-phone-{letter}" for letter in "abc"]
    assert all("smartphone" in items[one].title.lower() and items[one].available for one in phones)
    assert len({items[one].title for one in phones}) == 3
    (user,) = [user for user in rows("users.jsonl") if user["id"] == "user-phones"]
    assert [(one["kind"], one["item_id"]) for one in user["events"]] == list(
        zip(["buy", "view", "favourite"], phones, strict=True)
    )
    # The phones must come out above these.
    assert "goods-phone-case" in items
    assert any("coffee" in item_id for item_id in items)
    assert any("shoes" in item.text.lower() or "sneakers" in item.text.lower() for item in items.values())


def test_t8_two_different_chinese_goods_without_a_latin_letter(items):
    first, second = (items[f"goods-zh-only-{letter}"] for letter in "ab")
    assert first.available
    assert second.available
    for item in (first, second):
        assert not re.search(r"[A-Za-z0-9]", item.title + item.text)
        assert item.attributes["category"] == "goods"
    assert (first.title, first.text) != (second.title, second.text)
    assert (len(first.title), len(first.text)) == (len(second.title), len(second.text))
