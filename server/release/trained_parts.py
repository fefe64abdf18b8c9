"""What training put into a live release: tables in memory, models on Triton. Every part may be absent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from core.events import EventSequence
from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from core.ranking.tower_input import tower_input
from core.retrieval.item_neighbours import NeighbourTable, PopularItems
from core.text.static_encoder import StaticEncoder
from server.deadline import Deadline
from server.models.served_model import ServedModel
from server.release.trained_contents import RankScaling


@dataclass(frozen=True)
class UserTower:
    """History -> vector, to be compared with the items' vectors.

    Attributes:
        model: on Triton.
        item_vectors: float32[n, e], the item side: unit, or zeros for items of which the tower knows nothing.
        silent: bool[n], the latter.
        content: float32[n, d], the catalogue's vectors.
    """

    model: ServedModel
    item_vectors: np.ndarray
    silent: np.ndarray
    content: np.ndarray

    async def embed(self, past: EventSequence, deadline: Deadline) -> np.ndarray:
        """Returns a user's vector, float32[e], unit.

        Raises:
            ModelUnavailable, DeadlineExceeded: as `ServedModel.ask`.
        """
        inputs = tower_input([past], self.content, self.model.loaded.entry.max_length)
        embeddings = await self.model.ask(inputs, deadline)
        return np.asarray(embeddings[0])


@dataclass(frozen=True)
class Ranker:
    """Features of candidates -> logits and match probabilities.

    Attributes:
        model: on Triton.
        scaling: of its features and logits.
        facts: what the features are made from.
        popular_count: how many of the most popular items it judges besides what the sources recalled.
    """

    model: ServedModel
    scaling: RankScaling
    facts: ItemFacts
    popular_count: int


@dataclass(frozen=True)
class TrainedParts:
    """The trained parts of a live release.

    Attributes:
        neighbours: for collaborative recall.
        followers: what often comes next, as neighbours.
        popularity: the prior, for callers of whom nothing is known and lists that are too short.
        aspects: float32[n, A], what reviews say of each item.
        student: reads texts while the encoder is away.
        tower: the user tower.
        ranker: the ranker.
        thresholds: least score of a candidate in a recall source, by the source's name.
        blend: what each source counts where no ranker orders, and how deep it is asked.
    """

    neighbours: NeighbourTable | None = None
    item_transitions: NeighbourTable | None = None
    popularity: PopularItems | None = None
    aspects: np.ndarray | None = None
    student: StaticEncoder | None = None
    tower: UserTower | None = None
    ranker: Ranker | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    blend: Blend = field(default_factory=Blend)

    def models(self) -> Iterator[ServedModel]:
        """Yields every model that runs on Triton."""
        if self.tower is not None:
            yield self.tower.model
        if self.ranker is not None:
            yield self.ranker.model
