"""Layout of the encoder over a processor's cores: model instances times threads."""

from dataclasses import dataclass

_MOST_THREADS = 4


@dataclass(frozen=True)
class CpuShape:
    """Instances of a model and the threads of each.

    Two instances of one thread answer batches with a sixth less processor time than one of two threads. But each holds
    the weights, about twice the file's size in memory, and where one of two processes dies the canary may be answered
    by the other: so it is one, unless somebody asks for more.

    Attributes:
        instances: batches computed at once.
        threads: of each batch.
    """

    instances: int = 1
    threads: int = 2

    @classmethod
    def for_cores(cls, cores: int) -> "CpuShape":
        """Returns one instance with a thread a core, at most four: short texts gain nothing by more."""
        return cls(1, min(max(cores, 1), _MOST_THREADS))


TWO_CORES = CpuShape()
"""For a machine that is not known: the committed files, and another's Triton."""
