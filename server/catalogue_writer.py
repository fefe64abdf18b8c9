"""Changes of the catalogue: embeds texts with the live release; the store makes the changes durable."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from core.retrieval.lexical_document import ItemTerms
from domain.catalogue_change import ItemUpsert
from domain.errors import EncoderUnavailable, FollowsWriter
from domain.item import Item
from domain.text import item_text
from server.catalogue.change import digest_of
from server.catalogue.draft import Deletion, Draft, Edit, Outcome, Result, Upsert, has_text
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue.store import CatalogueStore
from server.deadline import Deadline
from server.release.item_embedding import embed_items
from server.release.live_release import LiveRelease
from server.release.live_view import embedding_of, encoder_key
from server.trace import Trace

# An item whose text changes between two of these is embedded again; with so many callers on one item it is given up.
_ATTEMPTS = 4
# Items that are analysed in one go of a worker thread: some 5 ms of the interpreter.
_ANALYSED_AT_ONCE = 8


@dataclass(frozen=True)
class CatalogueWriter:
    """Changes the live catalogue.

    Attributes:
        live: returns the live release; raises NoRelease where there is none.
        store: returns the store of changes; raises NotServed where the gateway keeps none.
        workers: threads for the analysis of words.
        unreadable_limit: above this share of text that the encoder cannot read, an item's vector carries no meaning.
        follows: address of the gateway whose changes this one follows: it takes none itself; empty for none.
    """

    live: Callable[[], LiveRelease]
    store: Callable[[], CatalogueStore]
    workers: Executor
    unreadable_limit: float
    follows: str = ""

    async def upsert(self, upserts: Sequence[ItemUpsert], deadline: Deadline, trace: Trace) -> list[Result]:
        """Adds or replaces items; returns once those that can be applied are on disk and visible.

        Raises:
            NoRelease, NotServed, FollowsWriter: nothing can be changed.
            EncoderUnavailable: texts cannot be embedded; nothing was applied.
            StorageError: the disk is full or fails; nothing was applied.
            Overloaded, DeadlineExceeded: not in time; some may have been applied.
        """
        self._check_writer()
        results: dict[int, Result] = {}
        pending = list(range(len(upserts)))
        for attempt in range(_ATTEMPTS):
            asked = [upserts[place] for place in pending]
            drafts = await self._drafts(asked, deadline, trace, reuse=attempt == 0)
            found = await self._submit(drafts)
            results.update(zip(pending, found, strict=True))
            pending = [place for place in pending if results[place].outcome is Outcome.STALE_VECTOR]
            if not pending:
                break
        stale = EncoderUnavailable("the item was changed by others all the time; send it again")
        return [
            replace(result, outcome=Outcome.REFUSED, error=stale) if result.outcome is Outcome.STALE_VECTOR else result
            for result in (results[place] for place in range(len(upserts)))
        ]

    async def apply(self, drafts: Sequence[Deletion | Edit]) -> list[Result]:
        """Applies removals and edits; see `upsert`."""
        return await self._submit(drafts)

    def _check_writer(self) -> None:
        if self.follows:
            raise FollowsWriter(
                f"this gateway follows {self.follows}, which alone takes changes of the catalogue; send them there"
            )

    async def _submit(self, drafts: Sequence[Draft]) -> list[Result]:
        self._check_writer()
        self.live()
        return await asyncio.wrap_future(self.store().submit(drafts))

    async def _drafts(
        self, upserts: Sequence[ItemUpsert], deadline: Deadline, trace: Trace, *, reuse: bool
    ) -> list[Draft]:
        """Returns the items with vectors, words and digests; where the text stays, without a vector."""
        release, catalogue = self.live(), self.store().current
        loop = asyncio.get_running_loop()
        texts, digests, kept = await loop.run_in_executor(self.workers, _texts, upserts, catalogue, release, reuse)
        fresh = [place for place in range(len(upserts)) if place not in kept]
        encoded = await embed_items([texts[place] for place in fresh], release, deadline, trace, self.unreadable_limit)
        vectors = dict(zip(fresh, encoded, strict=True))
        terms: list[ItemTerms] = []
        for start in range(0, len(upserts), _ANALYSED_AT_ONCE):
            items = [one.item for one in upserts[start : start + _ANALYSED_AT_ONCE]]
            terms += await loop.run_in_executor(self.workers, _analysed, items)
        encoder = encoder_key(release.manifest)
        return [
            Upsert(one.item, one.version, digests[place], vectors.get(place), encoder, terms[place], one.field)
            for place, one in enumerate(upserts)
        ]


def _analysed(items: Sequence[Item]) -> list[ItemTerms]:
    return [ItemTerms.of(item) for item in items]


def _texts(
    upserts: Sequence[ItemUpsert], catalogue: LiveCatalogue, release: LiveRelease, reuse: bool
) -> tuple[list[str], list[str], set[int]]:
    """Returns the items' texts, their digests, and the places of items that keep their vectors, if any may."""
    texts = [item_text(one.item, release.template) for one in upserts]
    digests = [digest_of(text) for text in texts]
    return texts, digests, _unchanged(upserts, digests, catalogue, release) if reuse else set()


def _unchanged(
    upserts: Sequence[ItemUpsert], digests: Sequence[str], catalogue: LiveCatalogue, release: LiveRelease
) -> set[int]:
    """Returns the places of items whose text is the one that their vector was made from."""
    counts = Counter(one.item.id for one in upserts)
    rows = catalogue.rows_of(counts)
    digest_of_release_item = embedding_of(release).digest_of
    found = set()
    for place, one in enumerate(upserts):
        row = rows.get(one.item.id)
        # What a call changes twice is embedded, so that its changes never get out of order.
        if row is None or counts[one.item.id] > 1:
            continue
        if has_text(digests[place], catalogue.state_of(row), digest_of_release_item):
            found.add(place)
    return found
