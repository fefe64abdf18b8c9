"""Aspect profiles from reviews: of items, what they are praised and blamed for; of users, what they care about.

Only reviews of the training part may be read: a review of a test item by a test user leaks the target.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.aspects.extract import AspectScore, aspect_scores
from core.aspects.profile import AspectProfile, AspectTable, item_profile, user_profile
from domain.durable import write_atomic
from domain.errors import StorageError
from domain.progress import Progress

ITEM_FILE = "aspects.json"
USER_FILE = "user_aspects.json"

_REPORT_EVERY = 20_000


@dataclass(frozen=True)
class ReviewProfileSettings:
    """Settings of the profiles.

    Attributes:
        item_prior: pseudo-opinions of 0 by which an item's scores are shrunk.
        user_prior: the same for users.
        newest_texts: newest reviews used of each item and each user; more change little and take time.
    """

    item_prior: float = 2.0
    user_prior: float = 0.5
    newest_texts: int = 200


@dataclass(frozen=True)
class Review:
    """One text about one item; the user may be unknown ("")."""

    user_id: str
    item_id: str
    text: str


@dataclass(frozen=True)
class ReviewProfiles:
    """Aspect profiles by id, ready to be saved."""

    items: AspectTable
    users: AspectTable

    def save(self, folder: Path) -> None:
        """Writes `aspects.json`, which a release packs, and `user_aspects.json`, which it does not.

        Raises:
            StorageError: a file cannot be written.
        """
        for name, table in ((ITEM_FILE, self.items), (USER_FILE, self.users)):
            _write(folder / name, table.dump())

    @classmethod
    def load(cls, folder: Path) -> "ReviewProfiles":
        """Reads what `save` wrote."""
        return cls(AspectTable.load(folder / ITEM_FILE), AspectTable.load(folder / USER_FILE))


def train_review_profiles(
    reviews: Iterable[Review], settings: ReviewProfileSettings, progress: Progress
) -> ReviewProfiles:
    """Scores reviews, oldest first, and sums them by item and by user.

    Args:
        reviews: texts of the training part, oldest first; empty ones are skipped.
        settings: of the profiles.
        progress: hears how far it is.

    Returns:
        Profiles of the items and users with any aspect.
    """
    of_item: dict[str, list[int]] = {}
    of_user: dict[str, list[int]] = {}
    texts: list[str] = []
    for review in reviews:
        if not review.text.strip():
            continue
        of_item.setdefault(review.item_id, []).append(len(texts))
        if review.user_id:
            of_user.setdefault(review.user_id, []).append(len(texts))
        texts.append(review.text)
    newest = settings.newest_texts
    needed = {place for places in (*of_item.values(), *of_user.values()) for place in places[-newest:]}
    progress.step(f"reading {len(needed):,} of {len(texts):,} reviews for aspects")
    scored = _scored(texts, sorted(needed), progress)
    profiles = ReviewProfiles(
        _table(of_item, scored, newest, lambda scores: item_profile(scores, settings.item_prior)),
        _table(of_user, scored, newest, lambda scores: user_profile(scores, settings.user_prior)),
    )
    progress.step(f"aspects of {len(profiles.items.scores):,} items and {len(profiles.users.scores):,} users")
    return profiles


def _scored(texts: list[str], places: list[int], progress: Progress) -> dict[int, tuple[AspectScore, ...]]:
    scored = {}
    for done, place in enumerate(places, start=1):
        scored[place] = aspect_scores(texts[place])
        if done % _REPORT_EVERY == 0:
            progress.step(f"{done:,} of {len(places):,} reviews read")
    return scored


def _table(
    places_by_id: dict[str, list[int]],
    scored: dict[int, tuple[AspectScore, ...]],
    newest: int,
    profile: Callable[[list[tuple[AspectScore, ...]]], AspectProfile],
) -> AspectTable:
    return AspectTable.of(
        {key: profile([scored[place] for place in places[-newest:]]) for key, places in places_by_id.items()}
    )


def aspect_coverage(item_ids: Iterable[str], table: AspectTable) -> float:
    """Returns the share of items with an aspect, 0 to 1."""
    known = [item_id in table.scores for item_id in item_ids]
    return float(np.mean(known)) if known else 0.0


def _write(path: Path, text: str) -> None:
    """Writes the file atomically."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written: {error.strerror or error}; free some space or choose --out"
        ) from error
