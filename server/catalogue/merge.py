"""Merges of changed items' vectors into a graph: built aside, mapped read-only, put in place by one reference.

    folder/merged/vectors.f32           vectors by place, to which a merge appends
    folder/merged/graph-<count>.usearch the graph over the first <count> of them

What changed is searched one by one while it is little. Beyond that a child process of low priority copies the graph of
the merge before, and adds what is new; where a fifth of its places holds what is not the latest any more it makes a new
one, and where so many of the release's rows changed, one over everything. All of it is derived: a gateway that was
killed removes it, and merges again what the log gives. A merge that fails leaves no file, so that it never keeps a disk
full.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import structlog

from core.growing import GrowingArray
from core.retrieval.delta_graph import VECTORS, graph_path, mapped, open_delta
from core.retrieval.entry_vectors import EntryVectors, MergedVectors
from domain.errors import StorageError
from server.catalogue.live_catalogue import LiveCatalogue

_ROOT = Path(__file__).resolve().parents[2]
_ROWS_AT_ONCE = 1_024
_REST_S = 0.002
# A node takes two bytes a number, and its links so many; beside a merge there is room for a file of the log.
_LINK_BYTES = 200
_ROOM_LEFT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class MergeLimits:
    """Limits beyond which changes are merged.

    Attributes:
        compared: vectors that are searched one by one at most. Of 384 dimensions 10,000 take as long as some three
            searches of a graph.
        compared_share: the same as a share of what was merged before, so that the work grows with the catalogue only.
        stale_share: of the places of a graph, or of the release's rows, that hold what is not the latest; beyond it
            everything is built anew.
        kept_s: seconds for which what is no longer the latest is kept in memory, longer than any request lasts.
    """

    compared: int = 10_000
    compared_share: float = 0.02
    stale_share: float = 0.2
    kept_s: float = 60.0

    def kind(self, catalogue: LiveCatalogue) -> str:
        """Returns the merge that is due for a catalogue: "add", "anew", "rebuild" (with the release's), or none."""
        stored, moment = catalogue.view.stored, catalogue.view.vectors
        merged = stored.merged
        waiting = moment.end - stored.start
        base_count = len(catalogue.segment.base.items)
        covered = merged is not None and merged.covers_base
        if not covered and moment.changed_count > max(self.stale_share * base_count, self.compared):
            return "rebuild"
        if waiting <= max(self.compared, self.compared_share * (0 if merged is None else len(merged.rows))):
            return ""
        if merged is not None and merged.stale_count(moment) > self.stale_share * len(merged.rows):
            return "rebuild" if covered else "anew"
        return "add"


class Merger:
    """Merges one catalogue's vectors. One thread calls it."""

    def __init__(self, folder: Path, limits: MergeLimits, at: Callable[[str], None] = lambda _: None) -> None:
        """Keeps the folder, which is emptied.

        Args:
            folder: for the files.
            limits: when it is time.
            at: called by name at points, for tests that end the process there.
        """
        self._folder = folder
        self.limits = limits
        self._at = at
        self._child: subprocess.Popen[bytes] | None = None
        self._generation = 0
        self._closed = False
        # Over the two above: no child is started once it was closed.
        self._guard = threading.Lock()
        # Held by a merge: whoever closes waits for its end, so that nothing is written afterwards.
        self._working = threading.Lock()
        # The merge that a later one may add to.
        self._last: MergedVectors | None = None
        self._log = structlog.get_logger("catalogue")
        shutil.rmtree(folder, ignore_errors=True)

    def merged(self, catalogue: LiveCatalogue, kind: str) -> MergedVectors | None:
        """Returns the vectors of a moment merged; blocking, for minutes where they are many. None once it was ended.

        Args:
            catalogue: the moment.
            kind: of merge, see `MergeLimits.kind`.

        Raises:
            StorageError: the disk is full, or the child failed; everything stays as it was.
        """
        with self._working:
            return None if self._closed else self._merged(catalogue, kind)

    def forget(self) -> None:
        """Removes the files of the last merge, where there is one; for a catalogue that has nothing of it."""
        with self._working:
            if self._last is not None:
                self._last = None
                shutil.rmtree(self._folder, ignore_errors=True)

    def _merged(self, catalogue: LiveCatalogue, kind: str) -> MergedVectors | None:
        started_s = time.monotonic()
        before = self._last if kind == "add" and self._last is catalogue.view.stored.merged else None
        if before is None:
            self._generation += 1
        folder = self._folder / str(self._generation)
        try:
            made = self._make(catalogue, folder, before, whole=kind == "rebuild")
        except OSError as error:
            self._take_back(folder, before)
            raise StorageError(
                f"{folder} could not be written: {error.strerror or error}; is the disk full?"
            ) from error
        except Exception:
            self._take_back(folder, before)
            raise
        if made is None:
            return None
        self._last = made
        self._forget_but(folder, len(made.rows))
        self._log.info(
            "changes merged", kind=kind, vectors=len(made.rows), seconds=round(time.monotonic() - started_s, 1)
        )
        return made

    def close(self) -> None:
        """Ends a merge, waits for its end and removes the files; what is mapped stays until it is let go."""
        with self._guard:
            self._closed, child = True, self._child
        if child is not None:
            child.kill()
        with self._working:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make(
        self,
        catalogue: LiveCatalogue,
        folder: Path,
        before: MergedVectors | None,
        *,
        whole: bool,
    ) -> MergedVectors | None:
        moment, stored, segment = catalogue.view.vectors, catalogue.view.stored, catalogue.segment
        start = 0 if before is None else before.entry_count
        entries = moment.alive(np.arange(start, moment.end))
        entries = entries[~segment.silent.array[entries]]
        rows, first = moment.rows_of_entries(entries), 0 if before is None else len(before.rows)
        base_rows = np.empty(0, np.int64)
        if whole:
            content = segment.base.content
            base_rows = np.flatnonzero(~segment.moved.at(moment)[: len(content.silent)] & ~content.silent)
        folder.mkdir(parents=True, exist_ok=True)
        width = segment.base.content.vectors.shape[1]
        count = first + len(entries) + len(base_rows)
        if count > first:
            _check_room(folder, (count - first) * width * 4 + count * (width * 2 + _LINK_BYTES))
        with (folder / VECTORS).open("r+b" if first else "wb") as stream:
            # A merge that failed may have left more.
            stream.truncate(first * width * 4)
            stream.seek(0, os.SEEK_END)
            self._append(stream.fileno(), stored.take, entries)
            self._at("merge-half-written")
            self._append(stream.fileno(), lambda some: segment.base.content.vectors[some], base_rows)
            os.fsync(stream.fileno())
        self._at("merge-written")
        # A graph that is searched is never written again: SIGBUS would end the gateway.
        index = before.index if before is not None and count == first else None
        if count > first:
            if not self._build(folder, count, width, graph_path(folder, first) if first else None):
                return None
            self._at("merge-built")
            index = open_delta(folder, mapped(folder, count, width))
        places = np.full(moment.end, -1, np.int64)
        if before is not None:
            places[:start] = before.places
        places[entries] = first + np.arange(len(entries))
        every_row = np.concatenate([*(() if before is None else (before.rows,)), rows, base_rows])
        return MergedVectors(index, every_row, places, whole or (before is not None and before.covers_base))

    def _build(self, folder: Path, count: int, width: int, onto: Path | None) -> bool:
        """Has the child make the graph; returns whether it did, and was not ended by `close`."""
        command = [sys.executable, "-m", "core.retrieval.delta_graph", str(folder), str(count), str(width)]
        command += ["--parent", str(os.getpid())]
        if onto is not None:
            command += ["--onto", str(onto)]
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with self._guard:
            if self._closed:
                return False
            child = self._child = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **one_thread, "PYTHONPATH": path}, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        self._at("merge-building")
        _, problem = child.communicate()
        with self._guard:
            self._child = None
        if self._closed:
            return False
        if child.returncode:
            last_line = problem.decode(errors="replace").strip().rpartition("\n")[2]
            raise StorageError(f"the graph of changes could not be built: {last_line or child.returncode}")
        return True

    def _append(self, descriptor: int, take: Callable[[np.ndarray], np.ndarray], numbers: np.ndarray) -> None:
        """Writes float32 rows, some at a time, and lets other threads run in between; ends early once it was closed."""
        for start in range(0, len(numbers), _ROWS_AT_ONCE):
            if self._closed:
                return
            some = np.ascontiguousarray(take(numbers[start : start + _ROWS_AT_ONCE]), "<f4")
            content = memoryview(some.tobytes())
            while content:
                content = content[os.write(descriptor, content) :]
            time.sleep(_REST_S)

    def _take_back(self, folder: Path, before: MergedVectors | None) -> None:
        """Removes what a merge that failed has written."""
        if before is None:
            shutil.rmtree(folder, ignore_errors=True)
            self._generation -= 1  # the merge before stays the one to add to, in its folder
            return
        with suppress(OSError):
            if before.index is not None:
                os.truncate(folder / VECTORS, before.index.vectors.nbytes)
            self._forget_but(folder, len(before.rows))

    def _forget_but(self, folder: Path, count: int) -> None:
        """Removes files of earlier merges; whoever still searches them has them mapped."""
        for other in self._folder.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        for graph in folder.glob("graph-*"):
            if graph.stem != graph_path(folder, count).stem:
                graph.unlink(missing_ok=True)


def _check_room(folder: Path, size: int) -> None:
    """Raises StorageError where a merge would take the room that the log needs."""
    state = os.statvfs(folder)
    room = state.f_bavail * state.f_frsize
    if room < size + _ROOM_LEFT_BYTES:
        raise StorageError(
            f"{folder} has room for {room / 1e6:,.0f} MB, but a merge takes {size / 1e6:,.0f} MB and the log goes on; "
            "changes are compared one by one until there is more"
        )


def with_merged(stored: EntryVectors, merged: MergedVectors) -> EntryVectors:
    """Returns vectors whose first part is merged; to be called by the thread that appends."""
    kept = stored.tail.array[merged.entry_count - stored.start : len(stored.tail)]
    tail = GrowingArray(kept.shape[1:], np.float32, len(kept) + 64)
    tail.append(kept)
    return replace(stored, tail=tail, merged=merged)
