import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.aspects.extract import ASPECTS, SAID_FROM, aspect_scores


def signs(text):
    """Sign by aspect of what was said; 0 for neutral."""
    sign = {"positive": 1, "neutral": 0, "negative": -1}
    return {one.aspect: sign[one.label] for one in aspect_scores(text) if one.confidence >= SAID_FROM}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # An opinion belongs to the aspect beside it.
        ("Fair price and terrible sound.", {"price": 1, "sound": -1}),
        ("The plot is brilliant and the acting dreadful.", {"story": 1, "acting": -1}),
        ("The price and the quality are excellent.", {"price": 1, "quality": 1}),
        ("Quick and careful delivery.", {"delivery": 1}),
        ("Sound quality? Superb. Comfort: poor.", {"sound": 1, "comfort": -1}),
        ("屏幕清晰，物流太慢", {"quality": 1, "delivery": -1}),
        ("价格和质量都很好", {"price": 1, "quality": 1}),
        # Some words name their aspect themselves.
        ("Overpriced, but comfy.", {"price": -1, "comfort": 1}),
        ("性价比高，就是有点磨脚", {"price": 1, "comfort": -1}),
        ("照本宣科，听不懂", {"teaching": -1}),
        # Some judge one way with one aspect and the other way with another.
        ("high price, high quality", {"price": -1, "quality": 1}),
        ("low price, low quality", {"price": 1, "quality": -1}),
        ("价格高，质量高", {"price": -1, "quality": 1}),
        # Negations.
        ("The sound is not bad at all.", {"sound": 1}),
        ("No complaints about the delivery.", {"delivery": 1}),
        ("It isn’t cheap.", {"price": -1}),
        ("I don't think the price is fair.", {"price": -1}),
        ("Never had a problem with the service.", {"service": 1}),
        ("Not a single problem with the delivery.", {"delivery": 1}),
        ("Neither cheap nor comfortable.", {"price": -1, "comfort": -1}),
        ("Neither cheap nor expensive.", {"price": 0}),
        ("An article without depth.", {"depth": -1}),
        ("质量不差", {"quality": 1}),
        ("音质没有想象中好", {"sound": -1}),
        ("音质没有想象中那么差", {"sound": 1}),
        ("一点都不贵", {"price": 1}),
        ("剧情一点也不拖沓", {"story": 1}),
        ("不便宜也不贵", {"price": 0}),
        # Wishes say what is missing.
        ("The delivery could be faster.", {"delivery": -1}),
        ("I wish the seat were comfortable.", {"comfort": -1}),
        ("The service could not be better.", {"service": 1}),
        # Comparisons of prices.
        ("It costs less than a lunch.", {"price": 1}),
        ("It costs more than my rent.", {"price": -1}),
        ("Only $7!", {"price": 1}),
        ("才9块", {"price": 1}),
        # Too much of a good thing.
        ("The mattress is too soft.", {"comfort": -1}),
        ("The price is not too high.", {"price": 1}),
        # Neither praise nor blame.
        ("The acting is average.", {"acting": 0}),
        ("价格一般，做工中规中矩", {"price": 0, "quality": 0}),
        # Traditional characters, full-width and mixed text.
        ("質量很好，價格實惠", {"quality": 1, "price": 1}),
        ("ＳＯＵＮＤ is great，就是有点贵", {"sound": 1, "price": -1}),
        # Words that only look like an opinion.
        ("不仅便宜，而且好看", {"price": 1, "design": 1}),
        ("Not only cheap but also stylish.", {"price": 1, "design": 1}),
        # A verdict about nothing in particular is about the thing itself.
        ("Excellent!", {"quality": 1}),
    ],
)
def test_what_is_said(text, expected):
    assert signs(text) == expected


@pytest.mark.parametrize(
    "text", ["", "   ", "…", "12345", "the a of", "今天星期三", "Привет", "\U0001f642", "a" * 5000]
)
def test_nothing_is_said(text):
    assert signs(text) == {}


def test_naming_an_aspect_is_not_judging_it():
    (score,) = aspect_scores("I asked about the price.")
    assert (score.aspect, score.polarity) == ("price", 0)
    assert score.confidence < SAID_FROM


def test_after_a_contrast_the_same_aspect_weighs_more():
    (score,) = aspect_scores("The sound is good but distorted.")
    (turned,) = aspect_scores("The sound is distorted but good.")
    assert score.polarity < turned.polarity


def test_intensifiers_strengthen_and_weaken():
    polarity = {
        text: aspect_scores(f"The price is {text}.")[0].polarity for text in ("fair", "very fair", "a bit fair")
    }
    assert polarity["very fair"] > polarity["fair"] > polarity["a bit fair"] > 0


@given(st.text(max_size=200))
def test_any_text_gives_scores_within_bounds(text):
    scores = aspect_scores(text)
    assert [one.aspect for one in scores] == [aspect for aspect in ASPECTS if aspect in {one.aspect for one in scores}]
    assert all(-1 <= one.polarity <= 1 and 0 < one.confidence <= 1 for one in scores)


# Each clause speaks of one aspect, and names it.
ENGLISH = (
    "the price is fair", "terrible sound", "friendly service", "the delivery was late", "it is very comfortable",
    "wooden acting", "a gripping story", "the design is ugly", "poor quality", "the lessons are easy to follow",
)  # fmt: skip
CHINESE = (
    "价格实惠", "音质很差", "服务热情", "物流太慢", "穿着很舒服", "演技浮夸", "剧情紧凑", "外观丑", "质量很好",
    "讲解通俗易懂",
)  # fmt: skip


@given(st.permutations(ENGLISH), st.integers(2, 10), st.sampled_from([". ", ", ", "; "]))
def test_the_order_of_independent_english_clauses_does_not_matter(clauses, count, separator):
    clauses = clauses[:count]
    assert signs(separator.join(clauses)) == signs(separator.join(sorted(clauses)))


@given(st.permutations(CHINESE), st.integers(2, 10), st.sampled_from(["，", "。", "；"]))
def test_the_order_of_independent_chinese_clauses_does_not_matter(clauses, count, separator):
    clauses = clauses[:count]
    assert signs(separator.join(clauses)) == signs(separator.join(sorted(clauses)))


ENGLISH_TARGETS = {
    "price": "price", "quality": "build quality", "service": "customer service", "delivery": "shipping",
    "design": "colour", "comfort": "fit", "sound": "bass", "story": "plot", "acting": "cast", "teaching": "teacher",
    "depth": "analysis",
}  # fmt: skip
CHINESE_TARGETS = {
    "price": "价格", "quality": "做工", "service": "客服", "delivery": "快递", "design": "颜色", "comfort": "坐感",
    "sound": "低音", "story": "剧情", "acting": "演技", "teaching": "老师", "depth": "论证",
}  # fmt: skip


@pytest.mark.parametrize(
    ("aspect", "opinion"),
    [*itertools.product(ENGLISH_TARGETS, ["good", "excellent", "poor", "terrible", "disappointing"])],
)
def test_an_english_negation_turns_the_sign(aspect, opinion):
    plain = signs(f"The {ENGLISH_TARGETS[aspect]} is {opinion}.")
    for negated in ("is not {}", "isn't {}", "was never {}", "is not {} at all", "is hardly {}"):
        assert signs(f"The {ENGLISH_TARGETS[aspect]} {negated.format(opinion)}.") == {aspect: -plain[aspect]}, negated


@pytest.mark.parametrize(
    ("aspect", "opinion"), [*itertools.product(CHINESE_TARGETS, ["好", "出色", "糟糕", "令人满意"])]
)
def test_a_chinese_negation_turns_the_sign(aspect, opinion):
    plain = signs(f"{CHINESE_TARGETS[aspect]}很{opinion}")
    for negated in ("不{}", "并不{}", "一点也不{}", "谈不上{}"):
        assert signs(f"{CHINESE_TARGETS[aspect]}{negated.format(opinion)}") == {aspect: -plain[aspect]}, negated
