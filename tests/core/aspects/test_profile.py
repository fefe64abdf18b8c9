import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.aspects.extract import ASPECTS, AspectScore, aspect_scores
from core.aspects.profile import (
    AspectTable,
    aspect_affinity,
    aspect_matrix,
    item_profile,
    own_aspects,
    strongest_shared_aspect,
    user_aspects,
    user_profile,
)

PRICE, QUALITY = ASPECTS.index("price"), ASPECTS.index("quality")


def one_hot(**scores):
    return np.array([scores.get(aspect, 0.0) for aspect in ASPECTS], np.float32)


def test_an_items_scores_are_means_drawn_towards_zero():
    said = [AspectScore("price", 0.8, 1.0)]
    assert item_profile([said], prior=2.0).scores[PRICE] == pytest.approx(0.8 / 3)
    assert item_profile([said] * 98, prior=2.0).scores[PRICE] == pytest.approx(0.8 * 98 / 100)
    profile = item_profile([said, [AspectScore("price", 0.0, 0.15)]])
    assert profile.mentions[PRICE] == 2  # named twice, judged once
    assert profile.confidence[PRICE] == pytest.approx(1 / 3)
    assert not profile.scores[QUALITY]


def test_praise_and_blame_cancel_for_an_item_but_not_in_what_a_user_cares_about():
    texts = [[AspectScore("price", 0.8, 1.0)], [AspectScore("price", -0.8, 1.0)]]
    assert item_profile(texts).scores[PRICE] == pytest.approx(0)
    assert user_profile(texts, prior=0).scores[PRICE] == pytest.approx(0.8)


def test_comments_tell_signed_interests():
    interests = user_aspects(["good value, friendly service, poor quality"])
    assert interests.dtype == np.float32
    assert interests[PRICE] > 0.3
    assert interests[QUALITY] < -0.3
    assert not user_aspects([]).any()


def test_a_complaint_asks_for_better_just_as_praise_does():
    items = np.stack([one_hot(price=0.6), one_hot(price=-0.6), one_hot()])
    for comment in ("Such good value!", "Far too expensive."):
        affinity = aspect_affinity(user_aspects([comment]), items)
        assert affinity[0] > affinity[2] > affinity[1]


def test_the_strongest_shared_aspect_is_one_that_speaks_for_the_item():
    user = one_hot(price=0.5, quality=-0.4, sound=0.05)
    assert strongest_shared_aspect(user, one_hot(price=0.3, quality=0.9)) == "quality"
    assert strongest_shared_aspect(user, one_hot(price=0.3, quality=-0.9)) == "price"
    assert strongest_shared_aspect(user, one_hot(sound=0.9)) is None  # hardly cared about
    assert strongest_shared_aspect(user, one_hot(price=0.05)) is None  # hardly praised
    assert strongest_shared_aspect(one_hot(), one_hot(price=0.9)) is None


unit = arrays(np.float32, len(ASPECTS), elements=st.floats(-1, 1, width=32))


@given(unit, arrays(np.float32, (5, len(ASPECTS)), elements=st.floats(-1, 1, width=32)))
def test_affinity_stays_within_bounds_and_knows_no_sign_of_the_user(user, items):
    affinity = aspect_affinity(user, items)
    assert affinity.dtype == np.float32
    assert (np.abs(affinity) <= 1 + 1e-6).all()
    np.testing.assert_array_equal(affinity, aspect_affinity(-user, items))


def test_a_table_survives_writing_and_reading():
    table = AspectTable.of(
        {
            key: item_profile([aspect_scores(text)])
            for key, text in {"b": "poor quality", "a": "便宜", "c": "Hm."}.items()
        }
    )
    assert list(table.scores) == ["a", "b"]  # nothing was said of c
    read = AspectTable.parse(table.dump())
    assert read.dump() == table.dump()
    matrix = read.matrix(["c", "b", "unheard of", "a"])
    assert matrix.shape == (4, len(ASPECTS))
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(np.sign(matrix[:, [PRICE, QUALITY]]), [[0, 0], [0, -1], [0, 0], [1, 0]])
    np.testing.assert_array_equal(matrix, aspect_matrix(["c", "b", "unheard of", "a"], read.scores))


def test_aspects_of_another_program_are_put_in_place_by_name():
    text = '{"aspects": ["smell", "quality"], "items": {"a": [0.9, 0.4]}, "confidence": {"a": [1, 1]}, "mentions": {}}'
    np.testing.assert_allclose(AspectTable.parse(text).scores["a"], one_hot(quality=0.4))


@pytest.mark.parametrize("text", ["[]", "{}", '{"aspects": ["price"], "items": {"a": [1, 2]}}', "no"])
def test_no_table_is_refused(text):
    with pytest.raises(ValueError):
        AspectTable.parse(text)


def test_a_ranker_sees_only_what_was_said_often():
    table = AspectTable.of({f"said {count}": item_profile([aspect_scores("Cheap.")] * count) for count in (4, 5)})
    assert table.often_said(["said 4", "said 5", "x"])[:, PRICE].astype(bool).tolist() == [False, True, False]


def test_the_newest_comments_are_read_up_to_a_limit():
    assert own_aspects(["", "Arrived on Monday."]) is None
    newest = "friendly service " * 100
    assert own_aspects(["Overpriced. " * 300, newest]) == pytest.approx(user_aspects([newest, "Overpriced. " * 25]))
    assert own_aspects(["Overpriced.", newest * 2])[PRICE] == 0
