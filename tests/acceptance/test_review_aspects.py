"""T6: reviews become signed scores by aspect, in English and Chinese; goods that suit the price aspect move up."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.aspects.extract import ASPECTS, SAID_FROM, aspect_scores
from core.aspects.profile import aspect_affinity, strongest_shared_aspect, user_aspects
from datafiles.items import read_items
from datafiles.reviews import read_reviews
from domain.progress import SilentProgress
from training.reviews.profiles import Review, ReviewProfileSettings, train_review_profiles

SAMPLE = Path(__file__).resolve().parents[2] / "sample"
PRICE, SERVICE, QUALITY = (ASPECTS.index(aspect) for aspect in ("price", "service", "quality"))

CASES = [
    "good value, friendly service, poor quality",
    "Good value and friendly service, but the quality is poor.",
    "Poor quality. Not expensive, though, and the staff were helpful.",
    "The quality is not good; the service isn't bad at all, and it isn't expensive.",
    "价格实惠，服务热情，质量差",
    "质量不好，不过价格不贵，客服也很耐心",
    "性价比高，服务不错，就是质量没有想象中好",
    "價格實惠，服務熱情，質量很差",
]


@pytest.fixture(scope="module")
def profiles():
    reviews = [Review("", one.item_id, one.text) for one in read_reviews(SAMPLE / "reviews.jsonl")]
    return train_review_profiles(reviews, ReviewProfileSettings(), SilentProgress())


@pytest.fixture(scope="module")
def goods():
    items = read_items(SAMPLE / "items.jsonl").items
    return tuple(item.id for item in items if item.attributes["category"] == "goods")


@pytest.mark.parametrize("review", CASES)
def test_price_and_service_are_praised_and_quality_is_blamed(review):
    scores = {one.aspect: one for one in aspect_scores(review)}
    assert set(scores) == {"price", "service", "quality"}
    assert {aspect: one.label for aspect, one in scores.items()} == {
        "price": "positive",
        "service": "positive",
        "quality": "negative",
    }
    assert all(one.confidence >= SAID_FROM for one in scores.values())


@pytest.mark.parametrize("review_id", ["review-t6-en", "review-t6-zh"])
def test_the_samples_review_of_this_case(review_id):
    (review,) = [one for one in read_reviews(SAMPLE / "reviews.jsonl") if one.id == review_id]
    assert {one.aspect: one.label for one in aspect_scores(review.text)} == review.aspects


@pytest.mark.parametrize("review", CASES)
def test_goods_that_suit_the_price_move_up_and_the_reason_is_named(review, profiles, goods):
    """Against a wish for nothing in particular; luxury that is praised for its quality does not overtake them."""
    user = user_aspects([review])
    assert user[PRICE] > 0 > user[QUALITY]
    scores = profiles.matrix(goods)
    affinity = aspect_affinity(user, scores)
    told = np.abs(scores[:, [PRICE, SERVICE, QUALITY]]).sum(axis=1) > 0
    cheap, dear = (affinity[sign * scores[:, PRICE] > 0.1] for sign in (1, -1))
    assert len(cheap) >= 5
    assert len(dear) >= 3
    assert cheap.mean() > affinity[~told].max() == 0 > dear.mean()
    only_cheap = np.flatnonzero((scores[:, PRICE] > 0.1) & (np.count_nonzero(scores > 0, axis=1) == 1))
    assert [strongest_shared_aspect(user, scores[row]) for row in only_cheap] == ["price"] * len(only_cheap)


def test_every_comment_of_the_samples_users_can_be_read():
    users = [json.loads(line) for line in (SAMPLE / "users.jsonl").read_text(encoding="utf-8").splitlines()]
    comments = [event["text"] for user in users for event in user["events"] if event.get("text")]
    assert comments
    assert np.isfinite(user_aspects(comments)).all()
