"""The file of scenes: what it may hold, what is wrong with it, and whether it fits a catalogue."""

import math
from pathlib import Path

import pytest

from domain.arrangement import Arrangement, Boost, Cap, Pin
from domain.condition import AnyNumber, AnyOf, Condition, Equals, Range, TimeRange
from domain.errors import ConfigurationError
from domain.item import AttributeType
from domain.scene import FallbackList
from server.scenes import CatalogueFacts, load_scenes, problems_with, read_scenes

WHOLE = """
default = "home"

[lists.bestsellers]
items = ["a", "b"]

[lists.new]
sources = ["popular", "fresh"]

[scenes.home]
k = 12
fallback = "bestsellers"

[scenes.detail]
sources = ["semantic_history", "collaborative", "category_popular", "trending"]
personalization = 0.8
conditions = ["category=goods,music", "price<=100", "vegan=true", "released>=2026-01-31"]
preferences = ["brand!=ours"]
fallback = "new"

[scenes.detail.arrangement]
diversity = 0.3
caps = ["author=2", "category=2/5"]
pins = ["a@3"]
boosts = ["brand=ours@.2", "b@-1"]
new_share = 0.1
new_days = 2
exploration = 0.05
novelty = 0
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "scenes.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_whole_file(tmp_path):
    scenes = load_scenes(written(tmp_path, WHOLE))
    assert scenes.default == "home"
    home, detail = scenes.by_name["home"], scenes.by_name["detail"]
    assert (home.k, home.sources, home.fallback) == (12, None, FallbackList("bestsellers", ("a", "b")))
    assert home.arrangement.is_empty
    assert detail.sources == {"semantic_history", "collaborative", "category_popular", "trending"}
    assert detail.conditions == (
        Condition("category", AnyOf(frozenset({"goods", "music"}))),
        Condition("price", Range(None, 100.0)),
        Condition("vegan", Equals(True)),
        Condition("released", TimeRange((1_769_817_600, 0), None)),
    )
    assert detail.preferences == (Condition("brand", AnyOf(frozenset({"ours"})), negate=True),)
    assert detail.fallback == FallbackList("new", sources=("popular", "fresh"))
    assert detail.arrangement == Arrangement(
        diversity=0.3,
        caps=(Cap("author", 2), Cap("category", 2, 5)),
        pins=(Pin("a", 3),),
        boosts=(Boost(0.2, condition=Condition("brand", AnyOf(frozenset({"ours"})))), Boost(-1.0, ("b",))),
        new_share=0.1,
        new_within_s=172_800.0,
        exploration=0.05,
        novelty=0.0,
    )


def test_conditions_are_those_of_the_command_line(tmp_path):
    text = '[scenes.a]\nconditions = ["price>20", "price=14.5", "vegan=yes", "brand==ours", "isbn=123", "new=true"]'
    types = {"price": AttributeType.NUMBER, "vegan": AttributeType.BOOLEAN, "isbn": AttributeType.STRING}
    assert load_scenes(written(tmp_path, text), types).by_name["a"].conditions == (
        Condition("price", Range(math.nextafter(20, 21), None)),
        Condition("price", AnyNumber(frozenset({14.5}))),
        Condition("vegan", Equals(True)),
        Condition("brand", AnyOf(frozenset({"ours"}))),
        Condition("isbn", AnyOf(frozenset({"123"}))),
        Condition("new", Equals(True)),
    )
    with pytest.raises(ConfigurationError, match='"vegan=14": vegan is true or false, found'):
        load_scenes(written(tmp_path, text.replace("vegan=yes", "vegan=14")), types)


def test_every_wrong_line_is_named(tmp_path):
    path = written(
        tmp_path,
        """
default = "nowhere"
colour = 1

[lists.empty]

[lists.odd]
sources = ["lexical"]

[scenes.home]
k = 0
sources = ["guess"]
conditions = ["price~3"]
personalization = 2
fallback = "gone"
arrangement = { diversity = "much", caps = ["a=2", "a=3", "b=5/2"], pins = ["x"], boosts = ["y@3"], new_days = 0 }
""",
    )
    with pytest.raises(ConfigurationError) as refused:
        load_scenes(path)
    said = str(refused.value)
    for part in (
        'unknown line "colour"',
        "lists.empty needs either items or sources",
        'lists.odd.sources: unknown "lexical"',
        "scenes.home.k must be a whole number",
        'scenes.home.sources: unknown "guess"',
        'scenes.home.conditions: "price~3" is not a condition',
        "scenes.home.personalization must be a number from 0 to 1",
        'scenes.home.fallback is "gone", which is none of the lists: empty, odd',
        "scenes.home.arrangement.diversity must be a number from 0 to 1",
        "scenes.home.arrangement.caps names an attribute twice",
        '"b=5/2": the cap must be at least 1',
        '"x" is not a pinned item',
        '"y@3" is not a boost',
        "scenes.home.arrangement.new_days must be a number above 0",
        'default is "nowhere", which is none of the scenes: home',
    ):
        assert part in said
    assert all(line.startswith(f"{path}: ") for line in said.splitlines())


@pytest.mark.parametrize("text", ["[scenes.a", "", "scenes = 3", "[scenes]\na = 1"])
def test_a_file_without_scenes_is_refused(tmp_path, text):
    with pytest.raises(ConfigurationError, match=r"scenes\.toml"):
        load_scenes(written(tmp_path, text))


def test_the_file_beside_the_releases_is_found(tmp_path):
    assert read_scenes(None, tmp_path) is None
    path = written(tmp_path, "[scenes.cart]\nk = 3\n")
    assert read_scenes(None, tmp_path).by_name["cart"].k == 3
    with pytest.raises(ConfigurationError, match="nowhere"):
        read_scenes(tmp_path / "nowhere.toml", tmp_path)
    assert read_scenes(path, tmp_path / "elsewhere").by_name


def test_scenes_are_compared_with_a_catalogue(tmp_path):
    scenes = load_scenes(written(tmp_path, WHOLE))
    types = {
        "category": AttributeType.STRING,
        "price": AttributeType.STRING,
        "vegan": AttributeType.BOOLEAN,
        "brand": AttributeType.STRING,
        "author": AttributeType.STRING_LIST,
    }
    facts = CatalogueFacts(types, {"a"}.__contains__, frozenset({"semantic_history", "collaborative"}))
    assert problems_with(scenes, facts) == [
        'lists.bestsellers: "b" is not in the catalogue',
        'scenes.detail: a condition on "price": attribute "price" is a string; any_of fits it',
        'scenes.detail: a condition on "released": no item has an attribute "released"',
        'scenes.detail: "b" is not in the catalogue',
        'scenes.detail: the release has no source "category_popular"',
    ]
