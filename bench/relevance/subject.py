"""The subject of the measurements: a running gateway, its release and its items."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.service import ROOT
from domain.item import Item
from domain.progress import Progress
from domain.release_folder import ReleaseFolder
from shortlist import AsyncClient
from training.evaluation.search.service import ServiceList, ServiceRequest, ask_service
from training.splits.partial_queries import PartialQueries

_TEXTS = 100


@dataclass(frozen=True)
class Subject:
    """A running gateway with what it serves.

    Attributes:
        client: of the gateway.
        release: that it serves.
        items: of the release, by row.
        data: folder of the data set.
        seed: of every draw.
        progress: shows how far a measurement is.
        small: whether fewer titles and calls are enough.
    """

    client: AsyncClient
    release: ReleaseFolder
    items: Sequence[Item]
    data: Path
    seed: int
    progress: Progress
    small: bool = False

    async def ask(self, requests: Sequence[ServiceRequest]) -> list[ServiceList]:
        """Returns the lists of many requests."""
        return await ask_service(self.client, requests, self.progress)

    async def search(self, texts: Sequence[str], k: int = 10) -> list[ServiceList]:
        """Returns the lists of texts alone."""
        return await self.ask([ServiceRequest(text, {"k": k}) for text in texts])

    def random(self, what: str) -> random.Random:
        """Returns a generator of its own for a measurement, so that no other changes its draws."""
        return random.Random(f"{self.seed}\0{what}")

    @cached_property
    def item_of(self) -> dict[str, Item]:
        """The items by id."""
        return {item.id: item for item in self.items}

    @cached_property
    def texts(self) -> list[str]:
        """A hundred texts: wishes written by people, then partial descriptions of random items."""
        written = (ROOT / "bench" / "queries.txt").read_text(encoding="utf-8").splitlines()
        queries, rng = PartialQueries.of(self.items), self.random("texts")
        rows = rng.sample(range(len(self.items)), min(2 * _TEXTS, len(self.items)))
        drawn = [query for row in rows if (query := queries.query(row, self.seed, "bench"))]
        return list(dict.fromkeys([*written, *drawn]))[:_TEXTS]


def values_of(item: Item, attribute: str) -> tuple[str, ...]:
    """Returns an attribute's values as a tuple of texts; empty where the item has none."""
    value = item.attributes.get(attribute)
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, str) else ()


def number_of(item: Item, attribute: str) -> float | None:
    """Returns a number attribute; None where the item has none."""
    value = item.attributes.get(attribute)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
