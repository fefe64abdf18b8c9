"""Encodes lines of text for methods that score chunk by chunk: an encoder is loaded once for all of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


class LineEncoder:
    """Cache of vectors by encoder folder and line; the first call encodes all lines to come."""

    def __init__(self, encode: Callable[[Path, Sequence[str]], np.ndarray], lines_to_come: Sequence[str] = ()) -> None:
        """Takes a function of (folder, texts) that returns float32[n, d], unit, and the lines to come."""
        self._encode = encode
        self._to_come = lines_to_come
        self._known: dict[Path, dict[str, np.ndarray]] = {}

    def encode(self, folder: Path, lines: Sequence[str]) -> np.ndarray:
        """Returns float32[n, d], unit."""
        known = self._known.setdefault(folder, {})
        missing = sorted({line for line in (*lines, *self._to_come) if line not in known})
        if any(line not in known for line in lines):
            known.update(zip(missing, self._encode(folder, missing), strict=True))
        return np.stack([known[line] for line in lines])
