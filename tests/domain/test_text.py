import itertools
import json
from pathlib import Path

import pytest

from domain.event import Event, EventKind, in_order
from domain.item import Item
from domain.text import HistoryWording, TextTemplate, history_text, item_text, language_of

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = TextTemplate()
# T4: bought phone A, viewed phone B, favourited phone C.
HISTORY = (
    Event("goods-phone-a", EventKind.BUY, 100.0),
    Event("goods-phone-b", EventKind.VIEW, 200.0),
    Event("goods-phone-c", EventKind.FAVOURITE, 300.0),
)


def sample_titles(column):
    rows = map(json.loads, (ROOT / "sample/items.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["id"]: row[column] for row in rows if column in row}


def told(kind, title="Tea", comment="", template=TEMPLATE):
    return history_text((Event("i", kind, comment=comment),), {"i": title}, template)


@pytest.mark.parametrize(("language", "column"), [("en", "title"), ("zh", "title_zh")])
@pytest.mark.parametrize("events", list(itertools.permutations(HISTORY)))
def test_t4_a_history_is_one_sentence_in_order_of_time(language, column, events):
    golden = (ROOT / f"tests/golden/history_{language}.txt").read_text(encoding="utf-8")
    assert history_text(in_order(events), sample_titles(column), TEMPLATE) + "\n" == golden


def test_every_kind_has_a_verb_of_its_own_in_both_languages():
    for wording in TEMPLATE.wordings.values():
        verbs = [wording.verbs[kind] for kind in EventKind]
        assert len(set(verbs)) == len(EventKind)
    assert set(TEMPLATE.wordings) == {"en", "zh"}
    for kind in EventKind:
        verb = TEMPLATE.wordings["en"].verbs[kind]
        assert told(kind) == f"{verb[0].upper()}{verb[1:]} Tea."
        assert told(kind, "绿茶") == f"{TEMPLATE.wordings['zh'].verbs[kind]}绿茶。"


def test_a_comment_is_told_with_its_event():
    assert told(EventKind.COMMENT, comment=" lovely ") == "Commented on Tea: lovely."
    assert told(EventKind.COMMENT, "绿茶", "很香") == "评论了绿茶：很香。"


def test_an_event_without_a_title_is_told_by_its_own_or_left_out():
    events = (
        Event("known", EventKind.BUY, item_title="ignored"),
        Event("foreign", EventKind.VIEW, item_title=" Pot "),
        Event("unknown", EventKind.LIKE),
        Event("blank", EventKind.LIKE, item_title=" "),
    )
    assert history_text(events, {"known": "Tea"}, TEMPLATE) == "Bought Tea; viewed Pot."
    assert history_text(events[2:], {}, TEMPLATE) == ""
    assert history_text((), {}, TEMPLATE) == ""


def test_the_wording_is_the_templates():
    wording = HistoryWording({kind: f"<{kind}>" for kind in EventKind}, " / ", "!", " = ")
    template = TextTemplate(wordings={"en": wording, "zh": wording})
    assert told(EventKind.BUY, comment="c", template=template) == "<buy> Tea = c!"


def test_an_items_text_holds_attributes_of_every_type_in_the_templates_order():
    item = Item(
        "a",
        " Kettle ",
        "Boils water.\n",
        attributes={
            "brand": " Pell ",
            "tags": ("steel", "quiet"),
            "year": 2020,
            "size": 1.5,
            "weight": 2.0,
            "new": True,
            "used": False,
            "price": 9,
            "none": (),
            "blank": " ",
        },
    )
    names = ("year", "brand", "absent", "tags", "size", "weight", "new", "used", "none", "blank")
    assert item_text(item, TextTemplate(names)) == ("Kettle. 2020. Pell. steel, quiet. 1.5. 2. yes. no. Boils water.")
    assert item_text(item, TEMPLATE) == "Kettle. Boils water."
    assert item_text(item, TextTemplate(("tags",), " | ", "+")) == "Kettle | steel+quiet | Boils water."
    assert item_text(Item("a", "", "only"), TEMPLATE) == "only"


@pytest.mark.parametrize(
    ("text", "language"),
    [("", "en"), ("123 😀", "en"), ("tea", "en"), ("茶", "zh"), ("茶 ab", "en"), ("茶叶 ab", "zh"), ("чай 茶", "en")],
)
def test_the_language_is_that_of_most_letters(text, language):
    assert language_of(text) == language
