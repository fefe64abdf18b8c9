"""The live catalogue: a log of changes on disk, the segment in memory that they make, and the view that requests see.

One thread writes. It takes all that waits, decides it in order, makes it durable in one go, applies it, and shows the
new view; only then are the callers answered. Whoever reads takes the view that there is, without a lock.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from domain.errors import EncoderUnavailable, StorageError
from server.catalogue import checkpoint
from server.catalogue.change import Change, to_bytes
from server.catalogue.change_group import ChangeGroup, Embedding
from server.catalogue.change_log import ChangeLog
from server.catalogue.draft import Draft, Result
from server.catalogue.feed import Feed, log_after
from server.catalogue.figures import CatalogueFigures
from server.catalogue.folder_lock import FolderLock
from server.catalogue.identity import CatalogueIdentity
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue.log_records import Damage, read_log
from server.catalogue.merge import MergeLimits, Merger, with_merged
from server.catalogue.segment import LiveSegment, SegmentView
from server.catalogue.tap import ChangeTap, Taps
from server.catalogue.write_queue import WriteQueue

_POSITION_EVERY_S = 1.0
_ROLL_BYTES = 64 * 1024 * 1024
_MAINTENANCE_TIMEOUT_S = 120.0
_LEAST_COMPACTED_BYTES = 16 * 1024 * 1024


class CatalogueStore:
    """The changes of a catalogue. Any thread may submit and read."""

    def __init__(
        self,
        folder: Path,
        at: Callable[[str], None] = lambda _: None,
        limits: MergeLimits | None = None,
        *,
        follows: bool = False,
    ) -> None:
        """Keeps the folder; `read` takes it.

        Args:
            folder: of the changes; made where it is absent.
            at: called by name at points of the write path, for tests that end the process there.
            limits: when vectors are merged; None for those that were measured.
            follows: whether the changes are those of another gateway.
        """
        self.folder = folder
        self.identity = CatalogueIdentity(folder)
        self._follows = follows
        self._at = at
        self.compacted_s = time.time()
        self.damages: list[Damage] = []
        self._log_file = ChangeLog(folder, at)
        self._lock: FolderLock | None = None
        self._queue = WriteQueue(self._decide_and_apply, str(folder))
        self._current: LiveCatalogue | None = None
        self._embedding: Embedding | None = None
        self._log = structlog.get_logger("catalogue")
        self._noted_s = 0.0
        self._taps = Taps()
        self._limits = limits or MergeLimits()
        self._merger: Merger | None = None
        self.merged_s = time.time()
        self._maintenance = threading.Lock()
        self.last_error: StorageError | None = None

    @property
    def current(self) -> LiveCatalogue:
        """The view of this moment."""
        assert self._current is not None
        return self._current

    @property
    def sequence(self) -> int:
        """Number of the last change."""
        return self._log_file.sequence

    @property
    def log_bytes(self) -> int:
        """Bytes of the log on disk."""
        return self._log_file.byte_count

    def read(self) -> dict[str, Change]:
        """Takes the folder and returns the last state of each changed item; blocking.

        What is damaged is logged, kept in `damages`, and left out.

        Raises:
            CatalogueInUse: another process has the folder open.
            StorageError: it cannot be read or written.
        """
        self._lock = FolderLock(self.folder)
        self.identity.open(follows=self._follows)
        self._merger = Merger(self.folder / "merged", self._limits, self._at)
        states, last = checkpoint.read(self.folder, self.damages)
        checkpoint.fold(states, self._log_file.replay(self.damages, last), self.damages)
        self._tell(self.damages)
        if self.damages and self.identity.is_copy:
            # The writer has what is missing here.
            self.identity.clear()
        return states

    def _tell(self, damages: Iterable[Damage]) -> None:
        for damage in damages:
            self._log.warning(
                "catalogue damaged", file=str(damage.path), start=damage.start, end=damage.end, what=damage.description
            )

    def start(self, segment: LiveSegment, mean: np.ndarray, embedding: Embedding) -> None:
        """Shows a segment to which what was read is applied, and takes changes from now on."""
        self._current = LiveCatalogue(segment, segment.view(), mean)
        self._embedding = embedding
        self._queue.start()

    def submit(self, drafts: Sequence[Draft]) -> "Future[list[Result]]":
        """Hands drafts to the writer; the future has their outcomes once they are on disk and visible.

        Cancelling the future before the writer takes them has them left out.

        Raises:
            CatalogueInUse: the store is closed.
            Overloaded: too many wait.
        """
        return self._queue.submit(drafts)

    def between_groups(self, run: Callable[[], object]) -> "Future[object]":
        """Has the writer do something while nothing is being written.

        Raises:
            CatalogueInUse: the store is closed.
            Overloaded: too many wait.
        """
        return self._queue.between_groups(run)

    def replace_segment(self, segment: LiveSegment, mean: np.ndarray, embedding: Embedding) -> None:
        """Shows another segment from now on; to be called by the writer."""
        self._current = LiveCatalogue(segment, segment.view(), mean)
        self._embedding = embedding

    def roll(self) -> tuple[list[Path], int]:
        """Begins a new file of the log; returns the files before it and the last number in them. For the writer."""
        return self._log_file.roll(), self._log_file.sequence

    def figures(self) -> CatalogueFigures:
        """Returns the state of the changes, for metrics."""
        current = self.current
        base, stored = len(current.segment.base.items), current.view.stored
        merged, waiting = stored.merged, current.view.vectors.end - stored.start
        has_base = merged is None or not merged.covers_base
        return CatalogueFigures(
            log_bytes=self.log_bytes,
            changed_items=len(current.segment),
            item_count=current.item_count,
            stale_share=current.view.vectors.changed_count / base,
            compacted_age_s=max(0.0, time.time() - self.compacted_s),
            unmerged_vectors=waiting,
            merged_vectors=0 if merged is None else len(merged.rows),
            segments=int(has_base) + (merged is not None and merged.index is not None) + bool(waiting),
            merged_age_s=max(0.0, time.time() - self.merged_s),
            refuses=self.last_error is not None,
        )

    def should_compact(self) -> bool:
        """Returns whether the log has grown so far beyond the state that it pays to write a new one."""
        state_bytes = sum(path.stat().st_size for path in self.folder.glob(checkpoint.PATTERN))
        return self.log_bytes > max(_LEAST_COMPACTED_BYTES, state_bytes)

    def compact(self) -> None:
        """Writes the state of all changed items, and drops the log before it; blocking, while changes go on.

        Raises:
            StorageError: the disk is full; everything stays as it was.
        """
        with self._maintenance:
            self._compact()

    def _compact(self) -> None:
        states, files, sequence, damages = self._states_on_disk()
        self._at("compact-folded")
        newest = checkpoint.path_of(self.folder, sequence)
        checkpoint.write(newest, states.values(), sequence)
        self._at("compact-written")
        for path in files:
            self._drop(path, damages)
            self._at("compact-dropped")
        for path in self.folder.glob(checkpoint.PATTERN):
            if path != newest:
                self._drop(path, damages)
        self.compacted_s = time.time()

    def merge(self) -> str:
        """Merges vectors where it is time, and returns the kind of merge; blocking, while everything goes on.

        Raises:
            CatalogueInUse: the store is closed.
            StorageError: the disk is full, or the graph could not be built; everything stays as it was.
        """
        catalogue, merger = self.current, self._merger
        if merger is not None and catalogue.view.stored.merged is None:
            merger.forget()  # of another release, if of any
        kind = self._limits.kind(catalogue)
        merged = merger.merged(catalogue, kind) if kind and merger is not None else None
        if merged is None:
            return ""

        def put_in_place() -> bool:
            segment = self.current.segment
            if segment is not catalogue.segment:
                return False  # another release serves by now
            segment.vectors = with_merged(segment.vectors, merged)
            self._at("merge-swapping")
            segment.forget(time.monotonic(), self._limits.kept_s)
            self._show(segment.view())
            return True

        if not self.between_groups(put_in_place).result(_MAINTENANCE_TIMEOUT_S):
            return ""
        self.merged_s = time.time()
        self._at("merge-shown")
        return kind

    def snapshot(self, folder: Path) -> Path:
        """Writes the state of this moment with a digest into a folder, and returns the file; blocking.

        Raises:
            StorageError: it cannot be written.
        """
        with self._maintenance:
            states, _, sequence, _ = self._states_on_disk()
        return checkpoint.write_snapshot(folder, states, sequence)

    def _states_on_disk(self) -> tuple[dict[str, Change], list[Path], int, list[Damage]]:
        """Returns the states up to this moment, the files of the log that hold them, their last number, and damages."""
        files, sequence = self._rolled()
        damages: list[Damage] = []
        states, last = checkpoint.read(self.folder, damages)
        checkpoint.fold(states, read_log(files, damages, last, sequence), damages)
        self._tell(damage for damage in damages if damage not in self.damages)
        return states, files, sequence, damages

    def _rolled(self) -> tuple[list[Path], int]:
        """Has the writer begin a new file; returns the files before it and the last number in them."""
        rolled: Future[tuple[list[Path], int]] = Future()
        self.between_groups(lambda: rolled.set_result(self.roll())).result(_MAINTENANCE_TIMEOUT_S)
        return rolled.result()

    def open_feed(self, catalogue_id: str, after: int) -> Feed:
        """Returns the changes for a gateway that has a copy up to a number; blocking. `close_tap` ends it.

        Args:
            catalogue_id: of the copy.
            after: number of the last change in it.
        """
        with self._maintenance, self._taps.opened() as tap:
            files, tap.after = self._rolled()
            known = bool(catalogue_id) and catalogue_id == self.identity.catalogue_id
            records = log_after(self.folder, files, after, tap.after) if known else None
            found: dict[str, Change] = {}
            if records is None:
                found, _, tap.after, _ = self._states_on_disk()
            return Feed(self.identity.catalogue_id, records, tuple(found.values()), tap)

    def keep_aside(self) -> Path:
        """Copies the state of this moment into a folder beside the log, and returns that; see `snapshot`."""
        aside = self.folder / f"before-following-{time.time_ns()}"
        self.snapshot(aside)
        return aside

    def begin_again(self, states: Mapping[str, Change], sequence: int, catalogue_id: str, shown: LiveCatalogue) -> None:
        """Replaces everything by a copy of another catalogue's state; blocking.

        Args:
            states: by item id.
            sequence: number of the last change in them.
            catalogue_id: of the other catalogue.
            shown: the live release with these states.

        Raises:
            StorageError: it cannot be written.
            EncoderUnavailable: another release serves by now.
        """

        def replace_all() -> None:
            """Runs in the writer: no change is written meanwhile."""
            if shown.segment.base.items is not self.current.segment.base.items:
                raise EncoderUnavailable("the release was switched meanwhile; following begins again")
            # First of all: until the id is written, a restart asks for the whole state again.
            self.identity.clear()
            self._log_file.begin_again(sequence)
            for path in self.folder.glob(checkpoint.PATTERN):
                path.unlink()
            checkpoint.write(checkpoint.path_of(self.folder, sequence), states.values(), sequence)
            self.identity.become(catalogue_id)
            for tap in self._taps:
                tap.overflowed = True
            self._current = shown

        with self._maintenance:
            self.between_groups(replace_all).result(_MAINTENANCE_TIMEOUT_S)

    def open_tap(self) -> tuple[dict[str, Change], ChangeTap]:
        """Returns the states up to this moment, and a tap of the changes after it; blocking."""
        with self._maintenance, self._taps.opened() as tap:
            states, _, tap.after, _ = self._states_on_disk()
            return states, tap

    def close_tap(self, tap: ChangeTap) -> None:
        """Keeps no more changes for a tap."""
        self._taps.close(tap)

    def adopt(self, states: Mapping[str, Change], sequence: int) -> None:
        """Writes states up to a change, with vectors of another encoder, in place of those on disk; blocking.

        Raises:
            StorageError: they cannot be written; the next start embeds again.
        """
        with self._maintenance:
            checkpoint.write(checkpoint.path_of(self.folder, sequence), states.values(), sequence)

    def _drop(self, path: Path, damages: Sequence[Damage]) -> None:
        """Removes a file that is no longer needed; one that is damaged is set aside."""
        if any(damage.path == path for damage in (*damages, *self.damages)):
            aside = self.folder / "damaged"
            aside.mkdir(exist_ok=True)
            path.rename(aside / path.name)
        else:
            path.unlink()

    def close(self) -> None:
        """Writes what waits, and gives the folder back; blocking."""
        if self._merger is not None:
            self._merger.close()
        self._queue.close()
        self._log_file.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _decide_and_apply(self, submissions: Sequence[Sequence[Draft]]) -> list[list[Result]]:
        current, embedding = self.current, self._embedding
        assert embedding is not None
        group = ChangeGroup(current.segment, embedding)
        results = [[group.decide(draft) for draft in drafts] for drafts in submissions]
        if group.changes:
            payloads = [to_bytes(change) for change in group.changes]
            self._append(payloads)
            self._at("appended")
            for change in group.changes:
                current.segment.apply(change)
            for tap in self._taps:
                first_number = self._log_file.sequence - len(payloads) + 1
                tap.add(first_number, group.changes, [len(payload) for payload in payloads])
            self._at("applied")
            self._show(current.segment.view())
            self._at("shown")
        return results

    def _append(self, payloads: list[bytes]) -> None:
        try:
            self._log_file.append(payloads)
        except StorageError as error:
            self.last_error = error
            self._log.error("changes of the catalogue refused", error=str(error))
            raise
        self.last_error = None
        now_s = time.monotonic()
        if now_s - self._noted_s > _POSITION_EVERY_S:
            self._noted_s = now_s
            self._log_file.note_position()
        if self._log_file.current_bytes > _ROLL_BYTES:
            try:
                self._log_file.roll()
            except StorageError as error:  # what was written is written; the old file goes on
                self._log.warning("the log could not begin a new file", error=str(error))

    def _show(self, view: SegmentView) -> None:
        self._current = replace(self.current, view=view)
