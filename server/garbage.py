"""Python's garbage collector around what is kept as long as a release.

A full collection walks through every object that may be part of a cycle, and nothing else runs meanwhile: .1 to .3 s
for the tables of ten thousand items, several times while they are read. What a release holds has no cycles worth
looking for, so nothing is collected while it is read, and it is left out of collections afterwards. It is freed as
before, when its last user lets go of it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def long_lived(*, serving: bool) -> Iterator[None]:
    """Collects nothing in the body, and leaves out of later collections what there is at its end.

    Args:
        serving: whether requests are answered meanwhile. Only where none are, garbage is collected at the end: it would
            stop them.
    """
    gc.disable()
    try:
        yield
    finally:
        if not serving:
            gc.collect()
        gc.freeze()
        gc.enable()
