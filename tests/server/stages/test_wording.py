"""Wordings of explanations: one file a language."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.aspects.extract import ASPECTS
from domain.condition import AnyOf, Condition, Equals, GeoRadius, Range, TimeRange
from domain.errors import ConfigurationError
from domain.event import Event, EventKind
from domain.item import Item
from domain.recommendation import RecommendQuery, Source
from server.stages import wording
from server.stages.history import History
from server.stages.wording import Wordings, shortened
from server.stages.wording.language import language_for
from server.stages.wording.wishes import wish_words
from tests.support.dict_catalogue import DictCatalogue
from tests.support.running import ROOT

FOLDER = ROOT / "server/stages/wording"
WORDINGS = Wordings.load()
ENGLISH, CHINESE = WORDINGS.of("en"), WORDINGS.of("zh")


def test_shipped_languages_are_complete():
    assert set(WORDINGS.languages) == {"en", "zh"}
    for one in (ENGLISH, CHINESE):
        assert one.sources.keys() == {source.value for source in Source}
        assert one.aspects.keys() == set(ASPECTS)
        assert one.attributes.keys() == ENGLISH.attributes.keys()


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        *((tag, ENGLISH) for tag in ("en", "en-GB", "fr", "", "zhx", "../zh")),
        *((tag, CHINESE) for tag in ("zh", "zh-Hans", "ZH-tw")),
    ],
)
def test_a_tag_takes_the_nearest_language(tag, expected):
    assert WORDINGS.of(tag) is expected


def test_another_language_is_a_file(tmp_path):
    english = (FOLDER / "en.toml").read_text(encoding="utf-8")
    (tmp_path / "en.toml").write_text(english, encoding="utf-8")
    (tmp_path / "de-AT.toml").write_text(english.replace("it was chosen by many", "viele haben es gewählt"), "utf-8")
    added = Wordings.load(tmp_path)
    assert added.of("de-at-vienna").source("popular") == "viele haben es gewählt"
    assert added.of("de").source("popular") == "it was chosen by many"


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ('title = "its title is {title}"', "", "clauses.*title"),
        ("{words}", "{word}", "must fill in words"),
        ("{words}", "{words", "must fill in words"),
        ('end = "."', "", "not a wording"),
        ('end = "."', "end = 3", "end"),
        ("[wishes]", "[wishes", "not a wording"),
        ('tags = "it is tagged {value}"', 'tags = "it is tagged {title}"', "must fill in value"),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, line, instead, problem):
    english = (FOLDER / "en.toml").read_text(encoding="utf-8")
    assert line in english
    (tmp_path / "en.toml").write_text(english, encoding="utf-8")
    (tmp_path / "de.toml").write_text(english.replace(line, instead), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"de\.toml.*{problem}"):
        Wordings.load(tmp_path)


def test_english_must_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match=wording.DEFAULT):
        Wordings.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        (" a  title ", 60, "a title"),
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two..."),
        ("one two three", 7, "one two..."),
        ("one, two", 4, "one..."),
        ("abcdefghij", 5, "abcde..."),
        ("一部关于大海的电影", 4, "一部关于..."),
        ("大海 and sky", 5, "大海..."),
    ],
)
def test_a_long_text_is_cut_at_a_word(text, most, short):
    assert shortened(text, most, "...") == short


def any_of(*values):
    return AnyOf(frozenset(values))


@pytest.mark.parametrize(
    ("condition", "english", "chinese"),
    [
        (Condition("year", Range(1994, 1994)), "year 1994", "年份为1994"),
        (Condition("price", Range(None, 9.5)), "price up to 9.5", "价格不超过9.5"),
        (Condition("price", Range(10, None)), "price from 10", "价格不低于10"),
        (Condition("price", Range(10, 20)), "price 10 to 20", "价格在10到20之间"),
        (Condition("brand", any_of("Pell", "Oak")), "brand Oak and Pell", "品牌为Oak和Pell"),
        (Condition("genres", any_of("Horror"), negate=True), "genre other than Horror", "类型不是Horror"),
        (Condition("pet_safe", Equals(True)), "pet safe", "pet safe"),
        (Condition("pet_safe", Equals(False)), "not pet safe", "不是pet safe"),
        (Condition("pet_safe", Equals(True), negate=True), "not pet safe", "不是pet safe"),
        (Condition("made", TimeRange((757382400, 0), (788918399, 999))), "made 1994", "made为1994"),
        (Condition("lat", GeoRadius("lon", 52.5, 13, 2)), "within 2 km of 52.5, 13", "距52.5, 13不超过2公里"),
        (Condition("made", TimeRange((86400, 0), None)), "made from 1970-01-02", "made不低于1970-01-02"),
        (Condition("made", TimeRange((10**15, 0), None)), f"made from {10**15}", f"made不低于{10**15}"),
    ],
)
def test_wishes_in_words(condition, english, chinese):
    assert (wish_words(condition, ENGLISH), wish_words(condition, CHINESE)) == (english, chinese)


@pytest.mark.parametrize(
    ("query", "rows", "language"),
    [
        ({"text": "quiet sea", "language": "zh-Hans"}, (), "zh-Hans"),
        ({"text": "海边的电影", "language": "en"}, (), "en"),
        ({"text": "海边的电影"}, (0,), "zh"),
        ({"text": "the film 海"}, (1,), "en"),
        ({"text": "2001"}, (1,), "zh"),
        ({}, (1, 0, 0), "en"),
        ({}, (1,), "zh"),
        ({"events": (Event("x", EventKind.VIEW, item_title="玩具总动员"),)}, (), "zh"),
        ({}, (), "en"),
    ],
)
def test_the_language_is_that_of_request_text_or_history(query, rows, language):
    items = (Item("a", "A quiet harbour", ""), Item("b", "大海", ""))
    catalogue = DictCatalogue({item.id: (item, np.ones(1, np.float32)) for item in items}, {})
    history = History(rows, rows, (), "", "", ())
    assert language_for(RecommendQuery(**query), history, SimpleNamespace(catalogue=catalogue)) == language
