"""The one thread that writes changes: it takes all that waits, and does other work between two groups."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from domain.errors import CatalogueInUse, Overloaded, ShortlistError
from server.catalogue.draft import Draft, Result

_MOST_WAITING = 10_000
_MOST_IN_GROUP = 4_096
_END = object()


@dataclass(frozen=True)
class _Submission:
    drafts: Sequence[Draft]
    results: "Future[list[Result]]"


@dataclass(frozen=True)
class _Work:
    """Something to do between two groups."""

    run: Callable[[], object]
    done: "Future[object]"


class WriteQueue:
    """Queue of changes to be written, with the thread that writes them. Any thread may submit."""

    def __init__(self, write: Callable[[Sequence[Sequence[Draft]]], list[list[Result]]], name: str) -> None:
        """Keeps what writes; `start` starts the thread.

        Args:
            write: makes the drafts of some submissions durable and visible, and returns their outcomes.
            name: of what is written, for the error of a closed queue.
        """
        self._write = write
        self._name = name
        self._queue: queue.Queue[_Submission | _Work | None] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._log = structlog.get_logger("catalogue")
        self._closed = False
        # Nothing enters the queue behind the end.
        self._entrance = threading.Lock()

    def start(self) -> None:
        """Takes drafts from now on."""
        self._thread = threading.Thread(target=self._run, name="catalogue-writer", daemon=True)
        self._thread.start()

    def submit(self, drafts: Sequence[Draft]) -> "Future[list[Result]]":
        """Hands drafts over; the future has their outcomes. See `CatalogueStore.submit`."""
        results: Future[list[Result]] = Future()
        self._put(_Submission(drafts, results))
        return results

    def between_groups(self, run: Callable[[], object]) -> "Future[object]":
        """Does something while nothing is being written. See `CatalogueStore.between_groups`."""
        done: Future[object] = Future()
        self._put(_Work(run, done))
        return done

    def close(self) -> None:
        """Writes what waits, and ends; blocking."""
        with self._entrance:
            self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _put(self, entry: _Submission | _Work) -> None:
        with self._entrance:
            if self._closed:
                raise CatalogueInUse(f"{self._name} is closed")
            try:
                self._queue.put_nowait(entry)
            except queue.Full as error:
                raise Overloaded("too many changes of the catalogue wait already; try again later") from error

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            if isinstance(first, _Work):
                _do(first)
                continue
            group, after = self._waiting(first)
            self._write_group(group)
            if isinstance(after, _Work):
                _do(after)
            elif after is _END:
                return

    def _waiting(self, first: _Submission) -> "tuple[list[_Submission], _Work | object | None]":
        """Returns what waits, up to a limit, and what must come after it."""
        group, count = [first], len(first.drafts)
        while count < _MOST_IN_GROUP:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if not isinstance(following, _Submission):
                return group, _END if following is None else following
            group.append(following)
            count += len(following.drafts)
        return group, None

    def _write_group(self, waiting: Sequence[_Submission]) -> None:
        submissions = [one for one in waiting if one.results.set_running_or_notify_cancel()]
        if not submissions:
            return
        try:
            results = self._write([submission.drafts for submission in submissions])
        except ShortlistError as error:
            for submission in submissions:
                submission.results.set_exception(error)
            return
        except Exception as error:
            self._log.error("changes of the catalogue failed", exc_info=error)
            for submission in submissions:
                submission.results.set_exception(error)
            return
        for submission, found in zip(submissions, results, strict=True):
            submission.results.set_result(found)


def _do(work: _Work) -> None:
    if not work.done.set_running_or_notify_cancel():
        return
    try:
        work.done.set_result(work.run())
    except BaseException as error:
        work.done.set_exception(error)
