"""Relevance, fitted and kept; and the floor of claims of meaning, where random pairs seldom lie."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from core.ranking.relevance import RelevanceScale, meaning_floor
from core.ranking.text_blend import TextBlend

BLEND = TextBlend(bm25=0.3, unread=0.1)


@pytest.fixture
def scale():
    draw = np.random.default_rng(0)
    relevant, others, nonsense = (draw.normal(mean, 0.1, 500) for mean in (0.7, 0.3, 0.35))
    return RelevanceScale.fitted(relevant, others, nonsense, BLEND)


def test_relevance_rises_with_the_score_and_is_calibrated(scale):
    scores = np.linspace(-0.5, 1.5, 200)
    shares = scale.probabilities(scores)
    assert (np.diff(shares) > 0).all()
    assert ((shares >= 0) & (shares <= 1)).all()
    # Both kinds are normal with one spread: at the middle of their means it is a matter of chance.
    assert scale.probabilities(np.array([0.5]))[0] == pytest.approx(0.5, abs=0.05)
    assert scale.probabilities(np.array([0.7]))[0] > 0.95
    assert scale.blend == BLEND


def test_few_texts_that_mean_nothing_reach_the_floor(scale):
    nonsense = np.random.default_rng(1).normal(0.35, 0.1, 4000)
    assert (scale.probabilities(nonsense) >= scale.floor).mean() == pytest.approx(0.05, abs=0.02)


def test_it_rises_even_where_scores_say_nothing():
    scale = RelevanceScale.fitted(np.array([0.1, 0.2]), np.array([0.6, 0.7]), np.array([0.5]), BLEND)
    assert scale.slope > 0


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_it_cannot_be_fitted_to_nothing(empty):
    kinds = [np.ones(3), np.zeros(3), np.zeros(3)]
    kinds[empty] = np.empty(0)
    with pytest.raises(ValueError, match="mean nothing"):
        RelevanceScale.fitted(*kinds, BLEND)


def test_what_was_saved_is_read(scale, tmp_path):
    scale.save(tmp_path / "relevance.json")
    assert RelevanceScale.load(tmp_path / "relevance.json") == scale
    assert RelevanceScale.load(tmp_path / "relevance.json").blend.bm25 == 0.3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        *[({name: None}, name) for name in ("slope", "intercept", "floor", "close_from", "resembles_from")],
        ({"slope": "steep"}, "slope"),
        ({"slope": True}, "slope"),
        ({"intercept": float("nan")}, "intercept"),
        ({"floor": float("inf")}, "floor"),
        ({"slope": 0}, "slope above 0"),
        ({"slope": -1.5}, "slope above 0"),
        ({"floor": 1.1}, "floor from 0 to 1"),
        ({"floor": -0.1}, "floor from 0 to 1"),
        ({"blend": None}, "blend"),
        ({"blend": [0.25]}, "blend"),
        ({"blend": {**asdict(TextBlend()), "phrase": None}}, "phrase"),
        ({"blend": {**asdict(TextBlend()), "bm25": "much"}}, "bm25"),
        ({"blend": {"bm25": 0.25}}, "title_coverage"),
    ],
)
def test_anything_else_is_refused(tmp_path, changes, named):
    path = tmp_path / "relevance.json"
    path.write_text(json.dumps({**asdict(RelevanceScale()), **changes}))
    with pytest.raises(ValueError, match=rf"relevance\.json.*{named}"):
        RelevanceScale.load(path)


@pytest.mark.parametrize("content", ["[1]", "{", '"steep"', "{}"])
def test_another_format_is_refused(tmp_path, content):
    (tmp_path / "relevance.json").write_text(content)
    with pytest.raises(ValueError):
        RelevanceScale.load(tmp_path / "relevance.json")


def test_one_random_pair_in_a_hundred_is_above():
    cosines = np.random.default_rng(0).normal(0.1, 0.1, 4000)
    assert (cosines > meaning_floor(cosines)).mean() == pytest.approx(0.01, abs=0.002)


def test_a_catalogue_of_few_kinds_keeps_its_claims():
    """Of five kinds, a fifth of all random pairs is alike: they are still said to be."""
    draw = np.random.default_rng(0)
    unlike, alike = draw.normal(0.1, 0.1, 3200), draw.normal(0.8, 0.05, 800)
    floor = meaning_floor(np.concatenate([unlike, alike]))
    assert (unlike < floor).mean() > 0.99
    assert (alike > floor).mean() > 0.99


@pytest.mark.parametrize("cosines", [[0.3], [0.5] * 10])
def test_it_is_never_below_the_median(cosines):
    assert meaning_floor(np.asarray(cosines)) == cosines[0]
