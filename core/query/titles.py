"""Titles of a catalogue, folded, to tell a title from a wish."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from core.query.folding import tokenize
from domain.pace import paced

_ARTICLES = frozenset({"the", "a", "an"})
_LONGEST_WORDS = 12


class KnownTitles:
    """Titles of a catalogue. Read-only after construction."""

    def __init__(self, titles: Iterable[str] = ()) -> None:
        """Folds the titles; one with a leading article is known without it too."""
        self._titles: set[str] = set()
        self._longest: dict[tuple[str, str], int] = {}
        for title in paced(titles):
            words = tokenize(title).words
            self._add(words)
            if len(words) > 1 and words[0] in _ARTICLES:
                self._add(words[1:])
        self._sorted = sorted(self._titles)

    def _add(self, words: Sequence[str]) -> None:
        self._titles.add(" ".join(words))
        if 1 < len(words) <= _LONGEST_WORDS:
            pair = (words[0], words[1])
            self._longest[pair] = max(len(words), self._longest.get(pair, 0))

    def __contains__(self, phrase: str) -> bool:
        """Returns whether a folded phrase is a title."""
        return phrase in self._titles

    def begin_with(self, phrase: str) -> bool:
        """Returns whether a title is this folded phrase or goes on after it."""
        if phrase in self._titles:
            return True
        place = bisect_left(self._sorted, phrase + " ")
        return place < len(self._sorted) and self._sorted[place].startswith(phrase + " ")

    def within(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """Returns start and end of every longest title of two or more words that stands in a text."""
        found = []
        for start in range(len(words) - 1):
            longest = self._longest.get((words[start], words[start + 1]), 0)
            for end in range(min(start + longest, len(words)), start + 1, -1):
                if " ".join(words[start:end]) in self._titles:
                    found.append((start, end))
                    break
        return found
