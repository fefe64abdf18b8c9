"""Aspect profiles of items from reviews: what they are praised and blamed for.

Only reviews of the training part may be read: a review of a test item by a test user leaks the target.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.aspects.extract import AspectScore, aspect_scores
from core.aspects.profile import AspectTable, item_profile
from domain.durable import write_atomic
from domain.errors import StorageError
from domain.progress import Progress

ITEM_FILE = "aspects.json"

_REPORT_EVERY = 20_000


@dataclass(frozen=True)
class ReviewProfileSettings:
    """Settings of the profiles.

    Attributes:
        item_prior: pseudo-opinions of 0 by which an item's scores are shrunk.
        newest_texts: newest reviews used of each item; more change little and take time.
    """

    item_prior: float = 2.0
    newest_texts: int = 200


@dataclass(frozen=True)
class Review:
    """One text about one item; the user may be unknown ("")."""

    user_id: str
    item_id: str
    text: str


def save_profiles(folder: Path, items: AspectTable) -> None:
    """Writes `aspects.json`, which a release packs.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / ITEM_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, items.dump())
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written: {error.strerror or error}; free some space or choose --out"
        ) from error


def train_review_profiles(
    reviews: Iterable[Review], settings: ReviewProfileSettings, progress: Progress
) -> AspectTable:
    """Scores reviews, oldest first, and sums them by item.

    Args:
        reviews: texts of the training part, oldest first; empty ones are skipped.
        settings: of the profiles.
        progress: hears how far it is.

    Returns:
        Profiles of the items with any aspect.
    """
    of_item: dict[str, list[int]] = {}
    texts: list[str] = []
    for review in reviews:
        if review.text.strip():
            of_item.setdefault(review.item_id, []).append(len(texts))
            texts.append(review.text)
    newest = {item_id: places[-settings.newest_texts :] for item_id, places in of_item.items()}
    needed = sorted(place for places in newest.values() for place in places)
    progress.step(f"reading {len(needed):,} of {len(texts):,} reviews for aspects")
    scored = _scored(texts, needed, progress)
    profiles = AspectTable.of(
        {
            item_id: item_profile([scored[place] for place in places], settings.item_prior)
            for item_id, places in newest.items()
        }
    )
    progress.step(f"aspects of {len(profiles.scores):,} items")
    return profiles


def _scored(texts: list[str], places: list[int], progress: Progress) -> dict[int, tuple[AspectScore, ...]]:
    scored = {}
    for done, place in enumerate(places, start=1):
        scored[place] = aspect_scores(texts[place])
        if done % _REPORT_EVERY == 0:
            progress.step(f"{done:,} of {len(places):,} reviews read")
    return scored


def aspect_coverage(item_ids: Iterable[str], table: AspectTable) -> float:
    """Returns the share of items with an aspect, 0 to 1."""
    known = [item_id in table.scores for item_id in item_ids]
    return float(np.mean(known)) if known else 0.0
