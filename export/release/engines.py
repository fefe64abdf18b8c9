"""Engines that encode the chunks of a catalogue: this process, several, or a Ray cluster; the bytes are the same."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from domain.errors import WorkerLost
from export.release.chunk import Chunk, ChunkEncoder, ChunkWork, EncodedChunk


class Engine(Protocol):
    """Encoder of chunks, wherever it runs."""

    def encode(self, work: ChunkWork, chunks: Sequence[Chunk]) -> Iterator[EncodedChunk]:
        """Yields every chunk encoded, each as soon as it is done, in any order.

        Raises:
            ReleaseRejected: the encoder answers what is no unit vector.
            WorkerLost: a worker ended before its work was done.
        """


class InProcess:
    """Engine in this process, on every core."""

    def encode(self, work: ChunkWork, chunks: Sequence[Chunk]) -> Iterator[EncodedChunk]:
        """Encodes one chunk after the other."""
        encoder = ChunkEncoder(work, os.cpu_count() or 1)
        yield from map(encoder.encode, chunks)


class Processes:
    """Engine of several processes on this machine, each with an encoder of its own and its share of the cores."""

    def __init__(self, count: int) -> None:
        self._count = count

    def encode(self, work: ChunkWork, chunks: Sequence[Chunk]) -> Iterator[EncodedChunk]:
        """Encodes as many chunks at once as there are processes; few are ahead of what was taken."""
        threads = max(1, (os.cpu_count() or 1) // self._count)
        waiting = iter(chunks)
        running: set[Future[EncodedChunk]] = set()
        with ProcessPoolExecutor(
            self._count, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(work, threads)
        ) as pool:
            try:
                while True:
                    for chunk in waiting:
                        running.add(pool.submit(_encode, chunk))
                        if len(running) == 2 * self._count:
                            break
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            except BrokenProcessPool as error:
                raise WorkerLost(
                    f"one of {self._count} worker processes ended before its work was done: it was killed, or there is "
                    "too little memory for so many (--workers)"
                ) from error
            finally:
                for future in running:
                    future.cancel()


_encoder: ChunkEncoder | None = None


def _start_worker(work: ChunkWork, threads: int) -> None:
    """Opens the encoder once for all chunks that this worker process will get."""
    global _encoder  # noqa: PLW0603 -- the pool gives a worker no other place for its state
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _encoder = ChunkEncoder(work, threads)


def _end_with_parent() -> None:
    """Ends this worker once its parent is gone: a build that is killed cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        with contextlib.suppress(OSError):
            parent.join()
        os._exit(1)


def _encode(chunk: Chunk) -> EncodedChunk:
    assert _encoder is not None, "the pool starts every worker with _start_worker"
    return _encoder.encode(chunk)
