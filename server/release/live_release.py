"""The release that serves: data in memory, models on Triton."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from domain.manifest import Manifest
from server.models.ranker import Ranker
from server.models.served_model import ServedModel
from server.models.text_encoder import TextEncoder
from server.models.user_tower import UserTower
from server.release.data import ReleaseData


@dataclass(frozen=True)
class LiveRelease:
    """A release that serves: its data and its models on Triton. Everything in it is read-only.

    Attributes:
        data: read from its files.
        unreadable: bool[n], items whose text the encoder cannot read: their vectors carry no meaning, so only shared
            words find them.
        encoder: text to vectors.
        user_tower: history to vector; None where not trained.
        ranker: features to logits; None where not trained.
    """

    data: ReleaseData
    unreadable: np.ndarray
    encoder: TextEncoder
    user_tower: UserTower | None = None
    ranker: Ranker | None = None

    @property
    def manifest(self) -> Manifest:
        """The release's description."""
        return self.data.manifest

    def models(self) -> Iterator[ServedModel]:
        """Yields every model on Triton, the encoder first."""
        yield self.encoder.model
        yield from self.trained_models()

    def trained_models(self) -> Iterator[ServedModel]:
        """Yields every model on Triton besides the encoder."""
        if self.user_tower is not None:
            yield self.user_tower.model
        if self.ranker is not None:
            yield self.ranker.model
