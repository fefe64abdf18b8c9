"""The release that serves, over the changes of its catalogue."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import structlog

from core.retrieval.choice_counts import ChoiceCounts
from core.retrieval.lexical_document import ItemTerms
from domain.errors import Overloaded, StorageError
from domain.item import attribute_type
from domain.progress import Progress
from domain.text import item_text
from server.catalogue.change import Change, digest_of, fold
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue.segment import LiveSegment
from server.catalogue.store import CatalogueStore
from server.catalogue.tap import ChangeTap, opened_tap
from server.deadline import Deadline
from server.release.item_embedding import embed_items
from server.release.live_release import LiveRelease
from server.release.live_view import base_segment, embedding_of, encoder_key, live_view
from server.release.log_tables import LogTables
from server.trace import Trace
from server.users.outcomes import ShownItems

_EMBED_AT_ONCE = 256
_EMBED_TIMEOUT_S = 120.0
_YIELD_EVERY_S = 0.005
# So many changes are applied while the writer waits.
_LAST_CHANGES = 20


class LiveServing:
    """A release that serves, alone or over changes. To be asked on the event loop."""

    def __init__(self, release: LiveRelease, store: CatalogueStore | None = None) -> None:
        """Keeps a release and its store, which has been started; None for a catalogue that does not change."""
        self.release = release
        self.store = store
        self._seen: LiveCatalogue | None = None
        self._learned = self._view = release

    @property
    def is_refreshed(self) -> bool:
        """True where the release serves by tables of stored events."""
        return self._learned is not self.release

    def tables_of(self, counts: ChoiceCounts, shown: ShownItems | None = None) -> LogTables:
        """Returns the tables of stored events for the catalogue of this moment; in any thread."""
        changed = self.store is not None and self.store.current.segment.base.items is self.release.data.items
        if not changed or self.store is None:
            return LogTables.of(self.release, counts, shown)
        # What was added later is counted too, and stands by id.
        catalogue = self.store.current
        sources = replace(self.release.sources, order=catalogue.order)
        return LogTables.of(replace(self.release, catalogue=catalogue, sources=sources), counts, shown)

    def learn(self, tables: LogTables) -> None:
        """Has the release serve by tables that `tables_of` made, from the next request on."""
        self._learned = self._view = tables.over(self.release)
        self._seen = None

    def view(self) -> LiveRelease:
        """Returns the release with all changes of this moment; it stays so."""
        if self.store is None:
            return self._learned
        catalogue = self.store.current
        # While releases are switched, the store may show the items of the next one already.
        if catalogue is not self._seen and catalogue.segment.base.items is self.release.data.items:
            self._seen, self._view = catalogue, live_view(self._learned, catalogue)
        return self._view

    @classmethod
    async def over(
        cls, release: LiveRelease, store: CatalogueStore, unreadable_limit: float, progress: Progress
    ) -> "LiveServing":
        """Reads the changes that a store holds, applies them to a release, and starts the store.

        Raises:
            CatalogueInUse, StorageError: as `CatalogueStore.read`.
            EncoderUnavailable, DeadlineExceeded: items have to be embedded again and cannot be.
        """
        states = await asyncio.to_thread(store.read)
        if states:
            progress.step(f"applying {len(states):,} changes of the catalogue")
        segment = await changed_segment(release, states, unreadable_limit)
        store.start(segment, release.data.mean, embedding_of(release))
        return cls(release, store)


async def changed_segment(release: LiveRelease, states: Mapping[str, Change], unreadable_limit: float) -> LiveSegment:
    """Returns a release's items with changes applied; items without a vector of its encoder are embedded.

    Raises:
        EncoderUnavailable, DeadlineExceeded: they cannot be.
    """
    segment = await asyncio.to_thread(LiveSegment, base_segment(release))
    fitting = _fitting(states, segment)
    ready = await embedded(release, fitting, unreadable_limit)
    await asyncio.to_thread(apply_changes, segment, ready)
    return segment


async def embedded(release: LiveRelease, states: Mapping[str, Change], unreadable_limit: float) -> dict[str, Change]:
    """Returns changes whose vectors are all of a release's encoder and template."""
    key, ready = encoder_key(release.manifest), dict(states)
    texts = {
        item_id: item_text(change.item, release.template)
        for item_id, change in states.items()
        if change.item is not None and not _is_embedded(change, release, key)
    }
    waiting = list(texts)
    for start in range(0, len(waiting), _EMBED_AT_ONCE):
        turn = waiting[start : start + _EMBED_AT_ONCE]
        vectors = await embed_items(
            [texts[item_id] for item_id in turn], release, Deadline.after(_EMBED_TIMEOUT_S), Trace(), unreadable_limit
        )
        for item_id, vector in zip(turn, vectors, strict=True):
            ready[item_id] = replace(ready[item_id], vector=vector, encoder=key, text_digest=digest_of(texts[item_id]))
    return ready


async def embedded_in_order(
    release: LiveRelease, changes: Sequence[Change], segment: LiveSegment, unreadable_limit: float
) -> list[Change]:
    """Returns changes of another gateway in their order, with vectors of a release's encoder and a segment's types.

    An edit keeps the vector that its item has here, or gets before.

    Raises:
        EncoderUnavailable, DeadlineExceeded: an item has to be embedded and cannot be.
    """
    fitting = _fitting({str(place): change for place, change in enumerate(changes)}, segment)
    waiting: dict[str, Change] = {}
    with_vector: set[str] = set()
    for place, change in fitting.items():
        if change.item is None:
            with_vector.discard(change.item_id)
        elif change.vector is None and (
            change.item_id in with_vector or segment.latest_vector(change.item_id) is not None
        ):
            continue
        else:
            waiting[place] = change
            with_vector.add(change.item_id)
    ready = {**fitting, **await embedded(release, waiting, unreadable_limit)}
    return [ready[str(place)] for place in range(len(changes))]


async def switch_over(
    serving: LiveServing,
    release: LiveRelease,
    unreadable_limit: float,
    take_over: Callable[[LiveServing], Awaitable[None]],
) -> None:
    """Moves the changes of a catalogue from one release to another while they go on, and has the new one serve.

    What was changed until now is applied to the new release, embedded again where its encoder is another one; then what
    came meanwhile, round by round; the last few while the writer waits. A failure up to then leaves everything as it
    was. From then on the switch goes to its end, also where the caller is cancelled.

    Args:
        serving: what is served.
        release: to serve.
        unreadable_limit: see `ReleaseLoader`.
        take_over: serves the new serving; must do so before it waits for anything.

    Raises:
        EncoderUnavailable, DeadlineExceeded, Overloaded, StorageError: it cannot be done.
    """
    store = serving.store
    if store is None:
        await _to_its_end(take_over(LiveServing(release)))
        return
    loop = asyncio.get_running_loop()
    states, tap = await opened_tap(store)
    try:
        segment = await asyncio.to_thread(LiveSegment, base_segment(release))
        ready = await embedded(release, _fitting(states, segment), unreadable_limit)
        await asyncio.to_thread(apply_changes, segment, ready)
        while len(since := _taken(tap)) > _LAST_CHANGES:
            await asyncio.to_thread(
                apply_changes, segment, await later_changes(release, since, segment, unreadable_limit)
            )
        held = since

        def finish() -> None:
            """Runs in the writer: no change is written meanwhile."""
            rest = [*held, *_taken(tap)]
            if rest:
                embedding = later_changes(release, rest, segment, unreadable_limit)
                apply_changes(segment, asyncio.run_coroutine_threadsafe(embedding, loop).result(_EMBED_TIMEOUT_S))
            store.replace_segment(segment, release.data.mean, embedding_of(release))

        async def end() -> None:
            # Whoever has a later change acknowledged is told behind this, and sees the new release.
            await asyncio.wrap_future(store.between_groups(finish))
            await take_over(LiveServing(release, store))
            if encoder_key(release.manifest) != encoder_key(serving.release.manifest):
                await _adopt(store, _with_vectors_of(states, ready), tap.after)

        await _to_its_end(end())
    finally:
        store.close_tap(tap)


def _taken(tap: ChangeTap) -> list[Change]:
    """Returns the changes that came.

    Raises:
        Overloaded: more came than are kept.
    """
    changes = [change for _, change in tap.take()]
    if tap.overflowed:
        raise Overloaded(
            "the catalogue changes faster than another release takes the changes; switch when it is calmer"
        )
    return changes


async def _to_its_end(work: Awaitable[None]) -> None:
    """Waits for work that goes on where the caller is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _with_vectors_of(states: Mapping[str, Change], ready: Mapping[str, Change]) -> dict[str, Change]:
    """Returns states, whole, with the vectors of changes that may lack what does not fit a release."""
    return {
        item_id: replace(state, vector=one.vector, encoder=one.encoder, text_digest=one.text_digest)
        for item_id, state in states.items()
        for one in [ready[item_id]]
    }


async def _adopt(store: CatalogueStore, states: Mapping[str, Change], sequence: int) -> None:
    try:
        await asyncio.to_thread(store.adopt, states, sequence)
    except StorageError as error:
        structlog.get_logger("catalogue").warning(
            "vectors of the new release could not be written; the next start embeds again", error=str(error)
        )


async def later_changes(
    release: LiveRelease, changes: Sequence[Change], segment: LiveSegment, unreadable_limit: float
) -> dict[str, Change]:
    """Returns later changes, ready to be applied to a segment; an edit keeps the vector that the segment has."""
    folded = _fitting(fold(changes), segment)
    kept = {
        item_id: change
        for item_id, change in folded.items()
        if change.item is not None and change.vector is None and segment.latest_vector(item_id) is not None
    }
    embedded_ones = await embedded(
        release, {item_id: one for item_id, one in folded.items() if item_id not in kept}, unreadable_limit
    )
    return {item_id: kept.get(item_id) or embedded_ones[item_id] for item_id in folded}


def _is_embedded(change: Change, release: LiveRelease, key: str) -> bool:
    """Returns whether a change has, or keeps, a vector that the release's encoder made by its template."""
    if change.vector is not None:
        return change.encoder == key
    row = release.data.items.row_of(change.item_id)
    return row is not None and change.text_digest in (
        None,
        digest_of(item_text(release.data.items.item(row), release.template)),
    )


def _fitting(states: Mapping[str, Change], segment: LiveSegment) -> dict[str, Change]:
    """Returns changes without the attributes whose type is another one in the release, which are logged."""
    types = dict(segment.types)
    fitting: dict[str, Change] = {}
    for item_id, change in states.items():
        fitting[item_id] = change
        if change.item is None:
            continue
        misfits = set()
        for name, value in change.item.attributes.items():
            if types.setdefault(name, attribute_type(value)) is not attribute_type(value):
                misfits.add(name)
        if misfits:
            structlog.get_logger("catalogue").warning("attributes of another type left out", names=sorted(misfits))
            kept = {name: value for name, value in change.item.attributes.items() if name not in misfits}
            fitting[item_id] = replace(change, item=replace(change.item, attributes=kept), terms=None)
    return fitting


def apply_changes(segment: LiveSegment, states: Mapping[str, Change]) -> None:
    """Applies changes; lets other threads run in between."""
    rested_s = time.monotonic()
    for change in states.values():
        ready = change
        if change.item is not None and change.terms is None:
            ready = replace(change, terms=ItemTerms.of(change.item))
        if ready.vector is not None and ready.vector.shape != segment.base.content.vectors.shape[1:]:
            ready = replace(ready, vector=np.zeros(segment.base.content.vectors.shape[1], np.float32))
        segment.apply(ready)
        if time.monotonic() - rested_s > _YIELD_EVERY_S:
            time.sleep(0)
            rested_s = time.monotonic()
