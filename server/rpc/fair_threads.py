"""Threads that calls take in turns, so that one call with very much to do does not keep the others waiting."""

import contextvars
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from server.rpc.call import Call, current_call

_Result = TypeVar("_Result")


_BATCH = "/BatchRecommend"


class FairThreads(Executor):
    """An executor that goes round the calls that have work waiting, one piece each.

    A call never has more threads than `share`, nor have all batches together: with two or more threads one is always
    left for the others. Work from outside a call counts as one further call.
    """

    def __init__(self, thread_count: int, name: str) -> None:
        """Starts no thread yet.

        Args:
            thread_count: threads in all.
            name: prefix of their names.
        """
        self.share = max(1, thread_count - 1)
        self._free = thread_count
        self._pool = ThreadPoolExecutor(thread_count, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Call | None, deque[tuple[Future[Any], Callable[[], Any]]]] = OrderedDict()
        self._running: dict[object, int] = {}

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:  # noqa: ANN401
        """Puts a piece of work in the queue of the call that is in progress; see `Executor.submit`."""
        future: Future[_Result] = Future()
        call = current_call.get(None)
        context = contextvars.copy_context()
        with self._lock:
            self._waiting.setdefault(call, deque()).append((future, partial(context.run, fn, *args, **kwargs)))
            self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads; see `Executor.shutdown`. Work that waits is cancelled."""
        with self._lock:
            for pieces in self._waiting.values():
                for future, _ in pieces:
                    future.cancel()
            self._waiting.clear()
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _start(self) -> None:
        """Starts what may be started; the lock is held."""
        for call in list(self._waiting):
            if self._free == 0:
                return
            holder = _holder(call)
            if self._running.get(holder, 0) >= self.share:
                continue
            pieces = self._waiting[call]
            future, work = pieces.popleft()
            if pieces:
                self._waiting.move_to_end(call)
            else:
                del self._waiting[call]
            self._free -= 1
            self._running[holder] = self._running.get(holder, 0) + 1
            self._pool.submit(self._run, holder, future, work)

    def _run(self, holder: object, future: "Future[Any]", work: Callable[[], Any]) -> None:
        try:
            if future.set_running_or_notify_cancel():
                try:
                    result = work()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
        finally:
            with self._lock:
                self._free += 1
                self._running[holder] -= 1
                if not self._running[holder]:
                    del self._running[holder]
                self._start()


def _holder(call: Call | None) -> object:
    """Returns what threads are counted by: the call, or all batches together."""
    return _BATCH if call is not None and call.method.endswith(_BATCH) else call
