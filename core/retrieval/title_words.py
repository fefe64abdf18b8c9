"""The words of each title, for how much of a text is in a title and of the title in the text."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class TitleWords:
    """Checksums of the words of each row's title."""

    def __init__(self, starts: np.ndarray, words: np.ndarray) -> None:
        """Takes int64[n + 1], where each row's words start, and uint32[w], checksums of words."""
        self._starts = starts
        self._words = words

    @classmethod
    def of(cls, titles: Sequence[np.ndarray]) -> "TitleWords":
        """Takes uint32[.] for each row."""
        starts = np.cumsum([0, *(len(title) for title in titles)], dtype=np.int64)
        return cls(starts, np.concatenate([np.empty(0, np.uint32), *titles]))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def coverage(self, words: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Returns float32[C], the square of the harmonic mean of the shares that text and title have of one another.

        Squared, since a word or two in common with a long text says little.
        """
        asked = checksums(list(dict.fromkeys(words)))
        starts, ends = self._starts[rows], self._starts[rows + 1]
        lengths = ends - starts
        if not len(asked) or not int(lengths.sum()):
            return np.zeros(len(rows), np.float32)
        places = np.repeat(starts - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths) + np.arange(lengths.sum())
        return _coverage(asked, lengths, self._words[places])

    def save(self, path: Path) -> None:
        """Writes `.npz` without pickles."""
        with path.open("wb") as stream:
            np.savez(stream, starts=self._starts, words=self._words)

    @classmethod
    def load(cls, path: Path) -> "TitleWords":
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["starts"], arrays["words"])


def coverage_of(words: Sequence[str], titles: Sequence[np.ndarray]) -> np.ndarray:
    """Returns float32[C], `TitleWords.coverage` of titles that are given themselves, uint32[.] each."""
    asked = checksums(list(dict.fromkeys(words)))
    lengths = np.asarray([len(title) for title in titles], np.int64)
    if not len(asked) or not int(lengths.sum()):
        return np.zeros(len(titles), np.float32)
    return _coverage(asked, lengths, np.concatenate(titles))


def _coverage(asked: np.ndarray, lengths: np.ndarray, words: np.ndarray) -> np.ndarray:
    shared = (words[:, None] == asked).any(axis=1)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    counts = np.bincount(owner, shared, len(lengths))
    coverage: np.ndarray = (2 * counts / (len(asked) + np.maximum(lengths, 1))) ** 2
    return coverage.astype(np.float32)


def checksums(words: Sequence[str]) -> np.ndarray:
    """Returns uint32[w], one for each word."""
    return np.asarray([zlib.crc32(word.encode()) for word in words], np.uint32)
