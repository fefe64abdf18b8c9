"""The user tower on Triton: a history of events -> the user's vector."""

from dataclasses import dataclass

import numpy as np

from core.events import EventSequence
from core.ranking.tower_input import tower_input
from server.deadline import Deadline
from server.models.served_model import ServedModel


@dataclass(frozen=True)
class UserTower:
    """The user side of the user tower; the item side is `ReleaseData.tower_vectors`.

    Attributes:
        model: on Triton.
        content: float32[n, d], the catalogue's vectors, which it reads a history's items by.
        max_length: the largest number of events that it reads.
    """

    model: ServedModel
    content: np.ndarray
    max_length: int

    async def embed(self, events: EventSequence, deadline: Deadline) -> np.ndarray:
        """Returns a user's vector, float32[e], unit.

        Raises:
            ModelUnavailable, DeadlineExceeded: as `ServedModel.ask`.
        """
        inputs = tower_input([events], self.content, self.max_length)
        embeddings = await self.model.ask(inputs, deadline)
        return np.asarray(embeddings[0])
