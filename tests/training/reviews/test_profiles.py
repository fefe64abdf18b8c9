import numpy as np
import pytest

from core.aspects.extract import ASPECTS
from core.aspects.profile import AspectTable
from core.events import EventSequence
from domain.errors import StorageError
from domain.progress import SilentProgress
from training.interactions.table import Interactions
from training.reviews.profiles import (
    Review,
    ReviewProfileSettings,
    aspect_coverage,
    save_profiles,
    train_review_profiles,
)
from training.run.steps.aspects import training_reviews
from training.splits.split import EvalCase, EvalSet, Split

PRICE = ASPECTS.index("price")
SETTINGS = ReviewProfileSettings()


def test_reviews_become_profiles_of_items(tmp_path):
    reviews = [
        Review("ann", "kettle", "Good value."),
        Review("ben", "kettle", "非常便宜"),
        Review("ann", "lamp", "Overpriced."),
        Review("", "lamp", "   "),
        Review("cal", "rug", "Arrived on Monday."),
    ]
    profiles = train_review_profiles(reviews, SETTINGS, SilentProgress())
    assert set(profiles.scores) == {"kettle", "lamp", "rug"}
    assert profiles.scores["kettle"][PRICE] > 0 > profiles.scores["lamp"][PRICE]
    assert profiles.mentions["kettle"][PRICE] == 2
    save_profiles(tmp_path / "model", profiles)
    read = AspectTable.load(tmp_path / "model" / "aspects.json")
    assert read.dump() == profiles.dump()
    assert aspect_coverage(["kettle", "unheard of"], read) == 0.5


def test_only_the_newest_reviews_are_read():
    reviews = [
        Review("ann", "kettle", "Overpriced."),
        Review("ben", "kettle", "Cheap."),
        Review("cal", "kettle", "Cheap."),
    ]
    profiles = train_review_profiles(reviews, ReviewProfileSettings(newest_texts=2), SilentProgress())
    assert profiles.mentions["kettle"][PRICE] == 2
    assert profiles.scores["kettle"][PRICE] > 0


def test_no_reviews_give_empty_tables():
    profiles = train_review_profiles([], SETTINGS, SilentProgress())
    assert not profiles.scores
    assert aspect_coverage([], profiles) == 0


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        save_profiles(tmp_path / "file", train_review_profiles([], SETTINGS, SilentProgress()))


def test_what_is_asked_for_is_not_read():
    """A review of the validation's or the test's answer, or of an item that is to be new, would give it away."""
    history = EventSequence(np.array([0]), np.array([0]), np.zeros(1, np.float32))
    asked = EvalSet((EvalCase("ann", history, np.array([1])),), np.ones(3, bool))
    tested = EvalSet((EvalCase("ben", history, np.array([1])),), np.ones(3, bool))
    split = Split("next-item", ("a", "b", "c"), (history,), asked, (tested,), np.array([True, True, False]))
    interactions = Interactions(
        ("ann", "ben", "cal"),
        ("a", "b", "c", "x"),
        user=np.array([2, 0, 1, 2, 2, 0]),
        item=np.array([1, 1, 1, 2, 3, 0]),
        order=np.array([6.0, 2, 3, 4, 5, 1]),
        text=np.array(["six", "two", "three", "four", "five", "one"], object),
    )
    assert list(training_reviews(interactions, split)) == [Review("ann", "a", "one"), Review("cal", "b", "six")]
