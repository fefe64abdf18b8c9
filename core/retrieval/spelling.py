"""Spelling: a word that the catalogue does not have becomes the one it was meant to be."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from domain.pace import paced

_LEAST_LETTERS = 4
# From so many letters on two slips may be in a word.
_LONG_WORD = 9
_CANDIDATES = 5
# A shorter word has others near it by chance: "pixar" and the first name "pilar".
_TELLING_LETTERS = 7
# In so many items a word is common.
_COMMON_ITEMS = 10
# Letters that are taken for one another by ear.
_SOUNDS = tuple(map(frozenset, ("aeiouy", "ckqsz", "dt", "bp", "fvw", "mn", "gj")))
_KEYS = {
    letter: (place + shift, row)
    for row, (letters, shift) in enumerate((("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75)))
    for place, letter in enumerate(letters)
}
# Between the keys "i" and "j" there are 1.25 widths of a key.
_KEY_REACH = 1.3
_MOST_BEGINNING = 2_000
_BEGINNING = 40
_NO_WORDS: tuple[list[str], np.ndarray] = ([], np.empty(0, np.uint32))


class Vocabulary:
    """The words of a catalogue by length, with the number of items that have them. Read-only: any thread may ask."""

    def __init__(self, words: Sequence[str], counts: np.ndarray) -> None:
        """Takes words in ascending order, each once, and int64[t], in how many items each occurs."""
        self.words = tuple(words)
        self.counts = counts
        self._count_of = dict(zip(self.words, counts.tolist(), strict=True))
        by_length: dict[int, list[str]] = {}
        for word in paced(self.words):
            if word.isalpha() and word.isascii() and len(word) >= _LEAST_LETTERS - 1:
                by_length.setdefault(len(word), []).append(word)
        self._by_length: Mapping[int, tuple[list[str], np.ndarray]] = {
            length: (found, np.asarray([_letters(word) for word in found], np.uint32))
            for length, found in by_length.items()
        }

    def __contains__(self, word: object) -> bool:
        return word in self._count_of

    def alternatives(self, word: str) -> list[str]:
        """Returns words that this one may be a slip of, the likeliest first.

        A slip is a letter missing, doubled or wrong, or two letters swapped (optimal string alignment). Only words of
        letters alone are corrected, from four letters on: numbers and codes stand as they are.
        """
        if len(word) < _LEAST_LETTERS or not (word.isascii() and word.isalpha()) or word in self:
            return []
        most = 2 if len(word) >= _LONG_WORD else 1
        asked = np.uint32(_letters(word))
        found: list[tuple[int, int, str]] = []
        for length in range(len(word) - most, len(word) + most + 1):
            known, letters = self._by_length.get(length, _NO_WORDS)
            # A slip takes away one letter and adds one at most.
            near = np.flatnonzero(np.bitwise_count(letters ^ asked) <= 2 * most)
            if not len(near):
                continue
            words = [known[place] for place in near.tolist()]
            distances = cdist([word], words, scorer=OSA.distance, score_cutoff=most, dtype=np.uint8)[0]
            for place in np.flatnonzero(distances <= most).tolist():
                # The first letter is seldom the wrong one.
                first = words[place][0] != word[0]
                found.append((int(distances[place]) + first, -self._count_of[words[place]], words[place]))
        return [found_word for _, _, found_word in sorted(found)[:_CANDIDATES]]

    def is_likely(self, word: str, alternative: str) -> bool:
        """Returns whether an alternative is likely where nothing else in the text speaks for it.

        In a short word, a letter that is neither near by on the keyboard nor alike in sound is seldom a slip: it is
        then another word, unless the alternative is common.
        """
        if len(word) >= _TELLING_LETTERS or self._count_of[alternative] >= _COMMON_ITEMS:
            return True
        place = next((at for at, (a, b) in enumerate(zip(word, alternative, strict=False)) if a != b), len(alternative))
        if len(word) == len(alternative) and word[place + 1 :] == alternative[place + 1 :]:
            return _alike(word[place], alternative[place])
        if len(word) > len(alternative):
            return any(_alike(word[place], beside) for beside in (word[place - 1 : place], word[place + 1 : place + 2]))
        return True

    def beginning_with(self, prefix: str) -> list[str]:
        """Returns longer words that begin with a prefix, the commonest first."""
        start = bisect_left(self.words, prefix)
        end = bisect_left(self.words, prefix + "\U0010ffff")
        if end - start > _MOST_BEGINNING:
            return []
        longer = [word for word in self.words[start:end] if word != prefix]
        return sorted(longer, key=lambda word: (-self._count_of[word], word))[:_BEGINNING]

    def save(self, path: Path) -> None:
        """Writes `.npz` without pickles."""
        blob = np.frombuffer("\n".join(self.words).encode(), dtype=np.uint8)
        with path.open("wb") as stream:
            np.savez(stream, words=blob, counts=self.counts)

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Reads what `save` wrote.

        Raises:
            OSError, ValueError, KeyError: the file is damaged.
        """
        with np.load(path, allow_pickle=False) as arrays:
            blob = arrays["words"].tobytes().decode()
            return cls(blob.split("\n") if blob else [], arrays["counts"])


def _alike(letter: str, other: str) -> bool:
    """Returns whether one letter is easily written for another; False for no letter."""
    if letter == other or any(letter in sound and other in sound for sound in _SOUNDS):
        return True
    if letter not in _KEYS or other not in _KEYS:
        return False
    (x, y), (other_x, other_y) = _KEYS[letter], _KEYS[other]
    return math.hypot(x - other_x, y - other_y) < _KEY_REACH


def _letters(word: str) -> int:
    """Returns the ASCII letters that a word has, one bit each."""
    bits = 0
    for letter in word:
        bits |= 1 << (ord(letter) & 31)
    return bits
