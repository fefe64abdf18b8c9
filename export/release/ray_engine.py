"""Engine on a Ray cluster, or on a Ray of this machine alone where there is none."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from domain.errors import EngineMissing, ReleaseRejected, WorkerLost
from export.release.chunk import Chunk, ChunkEncoder, ChunkWork, EncodedChunk


class RayEngine:
    """Engine on Ray Data. Every node needs this checkout, and the releases' folder by the same path."""

    def __init__(self, count: int) -> None:
        """Takes the number of encoders; each gets its share of this machine's cores.

        Raises:
            EngineMissing: Ray is not installed.
        """
        try:
            import ray.data  # noqa: F401
        except ImportError as error:
            raise EngineMissing(
                "--engine ray needs Ray: say pip install -c constraints.txt -e '.[ray]', or leave --engine out"
            ) from error
        self._count = count

    def encode(self, work: ChunkWork, chunks: Sequence[Chunk]) -> Iterator[EncodedChunk]:
        """Encodes as many chunks at once as there are encoders. RAY_ADDRESS names the cluster, as Ray documents it."""
        import ray

        if not chunks:
            return
        # Nothing about a build is told to anybody.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        threads = max(1, (os.cpu_count() or 1) // self._count)
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
        try:
            for row in _dataset(work, chunks, self._count, threads).iter_rows():
                if row["refusal"]:
                    raise ReleaseRejected(row["refusal"])
                yield EncodedChunk.from_bytes(row["encoded"])
        except ray.exceptions.RayError as error:
            raise WorkerLost(f"Ray could not finish the work: {str(error).splitlines()[0]}") from error
        finally:
            ray.shutdown()


def _dataset(work: ChunkWork, chunks: Sequence[Chunk], count: int, threads: int) -> Any:  # noqa: ANN401 -- Ray has no types
    import ray

    # Its plans and progress are nobody's concern here; what goes wrong is told.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # A chunk a block: each comes back as soon as it is done.
    return ray.data.from_items([asdict(chunk) for chunk in chunks], override_num_blocks=len(chunks)).map_batches(
        _RayEncoder,
        fn_constructor_args=(work, threads),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=count),
        num_cpus=threads,
    )


class _RayEncoder:
    """Encoder of chunks in a Ray actor."""

    def __init__(self, work: ChunkWork, threads: int) -> None:
        self._encoder = ChunkEncoder(work, threads)

    def __call__(self, rows: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Encodes one chunk, whose fields come as arrays of one entry; a refusal travels as words."""
        chunk = Chunk(**{name: int(values[0]) for name, values in rows.items()})
        try:
            return {"encoded": [self._encoder.encode(chunk).to_bytes()], "refusal": [""]}
        except ReleaseRejected as error:
            return {"encoded": [b""], "refusal": [str(error)]}
