"""Aspects step: profiles of items, where interactions have reviews."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.interactions.positives import catalogue_rows
from training.interactions.table import Interactions
from training.reviews.profiles import (
    ITEM_FILE,
    Review,
    ReviewProfileSettings,
    aspect_coverage,
    save_profiles,
    train_review_profiles,
)
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.splits.split import Split


class AspectsStep:
    """Step that writes `aspects.json` for the release and the ranker."""

    name = "aspects"
    outputs = (ITEM_FILE,)
    uses = ()

    def __init__(self, settings: ReviewProfileSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Returns why there is no review to read; empty where there is."""
        texts = data.interactions.text
        return "" if texts is not None and any(text.strip() for text in texts) else "the interactions have no text"

    def settings(self, data: TrainingData) -> ReviewProfileSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Reads the reviews of the training part."""
        reviews = list(training_reviews(data.interactions, data.split))
        profiles = train_review_profiles(reviews, self._settings, data.progress)
        save_profiles(work, profiles)
        covered = aspect_coverage(data.split.item_ids, profiles)
        return StepRecord(
            0, "", None, {"items_with_aspects": covered}, [f"{len(reviews):,} reviews of the training part"]
        )


def training_reviews(interactions: Interactions, split: Split) -> Iterator[Review]:
    """Yields the reviews that a model may be trained on, oldest first.

    Left out are reviews of items that are not in training, and of validation and test targets.
    """
    if interactions.text is None:
        return
    held_out = {
        (case.user_id, int(row))
        for part in (split.validation, *split.tests)
        for case in part.cases
        for row in case.targets
    }
    rows = catalogue_rows(interactions, split.item_ids)
    for place in np.argsort(interactions.order, kind="stable"):
        row, user_id = int(rows[interactions.item[place]]), interactions.user_ids[interactions.user[place]]
        text = interactions.text[place].strip()
        if text and row >= 0 and split.known[row] and (user_id, row) not in held_out:
            yield Review(user_id, split.item_ids[row], interactions.text[place])
